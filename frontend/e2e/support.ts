import path from "node:path";
import AxeBuilder from "@axe-core/playwright";
import { type ConsoleMessage, expect, type Locator, type Page } from "@playwright/test";

const pictures = path.resolve(import.meta.dirname, "../../build/screenshots");
export type ThemeName = "light" | "dark";
export const THEMES: readonly ThemeName[] = ["light", "dark"];

/** Take the page in this theme, as a person on such a device sees it. */
export async function inTheme(page: Page, theme: ThemeName): Promise<void> {
  await page.emulateMedia({ colorScheme: theme, reducedMotion: "reduce" });
  await expect(page.locator("html")).toHaveAttribute("data-theme", theme);
  // Frames of plugins are told by the bridge, a moment later.
  for (const frame of page.frames().filter((frame) => frame !== page.mainFrame())) {
    await expect(frame.locator(`html:not([data-theme]), html[data-theme="${theme}"]`)).toBeAttached();
  }
}

/** The upper part of the page, down to where `end` begins: for what below it differs from machine to machine. */
export async function pictureAbove(page: Page, name: string, end: Locator): Promise<void> {
  const [box, screen] = [await end.boundingBox(), page.viewportSize()];
  if (!box || !screen) throw new Error(`${name}: nothing to end the picture at`);
  await page.setViewportSize({ width: screen.width, height: Math.floor(box.y) });
  await picture(page, name);
  await page.setViewportSize(screen);
}

export async function picture(page: Page, name: string, fullPage = false): Promise<void> {
  await page.evaluate(() => document.fonts.ready);
  // The screen is made as high as the page: what stands at its edges would be in the middle of the picture else.
  const screen = page.viewportSize();
  if (fullPage && screen) {
    const height = await page.evaluate(() => document.documentElement.scrollHeight);
    await page.setViewportSize({ width: screen.width, height: Math.max(height, screen.height) });
  }
  // With the caret as it is: to hide it, Playwright would put a style into the page, which the policy refuses.
  await page.screenshot({ path: path.join(pictures, `${name}.png`), caret: "initial" });
  if (fullPage && screen) await page.setViewportSize(screen);
}

/** Nothing that axe knows of is wrong with the page, by WCAG 2.2 AA and axe's best practices. */
export async function expectAccessible(page: Page): Promise<void> {
  const { violations } = await new AxeBuilder({ page }).analyze();
  const found = violations.map(
    ({ id, help, nodes }) =>
      `${id}: ${help}\n${nodes.map((node) => `    ${node.html}\n    ${node.failureSummary}`).join("\n")}`,
  );
  expect(found, found.join("\n")).toEqual([]);
}

/** No part of the page is wider than the screen. */
export async function expectFits(page: Page): Promise<void> {
  const [content, screen] = await page.evaluate(() => [document.documentElement.scrollWidth, window.innerWidth]);
  expect(content, "the page scrolls sideways").toBeLessThanOrEqual(screen ?? 0);
}

/** Collects what the content security policy refused and what was thrown; call the result at the end. */
export function watchConsole(page: Page): () => void {
  const wrong: string[] = [];
  page.on("console", (message: ConsoleMessage) => {
    if (message.type() !== "error" || !/Content.Security.Policy|Refused to/i.test(message.text())) return;
    wrong.push(message.text());
  });
  page.on("pageerror", (error) => wrong.push(String(error)));
  return () => expect(wrong).toEqual([]);
}
