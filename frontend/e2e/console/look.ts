import { type Browser, expect, type Page } from "@playwright/test";
import { expectAccessible, expectFits, inTheme, picture } from "../support";

export const username = process.env.E2E_USERNAME ?? "admin";
export const password = process.env.E2E_PASSWORD ?? "";
export const START_MS = 150_000;
export const SIZES = {
  desktop: { width: 1440, height: 900 },
  phone: { width: 360, height: 740 },
  wide: { width: 2560, height: 1440 },
} as const;

export const heading = (page: Page, name: string) => page.getByRole("heading", { level: 1, name });

/** A page of somebody who is not signed in, with nothing that another page has. */
export async function strangersPage(browser: Browser, baseURL: string | undefined): Promise<Page> {
  const context = await browser.newContext({ ...(baseURL && { baseURL }), viewport: SIZES.desktop });
  return context.newPage();
}

/** A page of somebody who has signed in already; the form has tests of its own. */
export async function signedInPage(browser: Browser, baseURL: string | undefined): Promise<Page> {
  const page = await strangersPage(browser, baseURL);
  const answer = await page.request.post("/api/auth/login", {
    data: { username, password },
    headers: { origin: new URL(baseURL ?? "").origin },
  });
  expect(answer.status()).toBe(200);
  return page;
}

/**
 * The screen in the state in which it is now, as people may see it: themes, from 360 to 2560 pixels, axe.
 *
 * What each screen is without anything done has axe in both themes in `every-screen.spec.ts`.
 */
export async function look(page: Page, name: string): Promise<void> {
  await inTheme(page, "light");
  await expectAccessible(page);
  await picture(page, `console-${name}-light-desktop`, true);
  await page.setViewportSize(SIZES.wide);
  await expectFits(page);
  await picture(page, `console-${name}-light-wide`);
  await inTheme(page, "dark");
  await page.setViewportSize(SIZES.desktop);
  await expectFits(page);
  await picture(page, `console-${name}-dark-desktop`, true);
  await page.setViewportSize(SIZES.phone);
  await expectFits(page);
  await expectAccessible(page);
  await picture(page, `console-${name}-dark-phone`, true);
  await page.setViewportSize(SIZES.desktop);
}
