import { expect, type Page, test } from "@playwright/test";
import { expectAccessible, expectFits, inTheme, THEMES, watchConsole } from "../support";
import { SIZES, START_MS, signedInPage } from "./look";
import { SCREENS } from "./screens";

/*
 * Every screen of the router: axe in both themes, on a phone in one, and nothing wider than the screen from 360 to 2560
 * pixels.
 */

let page: Page;
let calm: () => void;
let media = "";

test.beforeAll(async ({ browser, baseURL }) => {
  test.setTimeout(START_MS);
  page = await signedInPage(browser, baseURL);
  calm = watchConsole(page);
  const headers = { origin: new URL(baseURL ?? "").origin };
  const made = await page.request.post("/api/media", {
    data: { kind: "movie", title: "A film to look at", metadata: { note: "long".repeat(60) } },
    headers,
  });
  media = ((await made.json()) as { id: string }).id;
  await page.request.post("/api/plugins/boxed/enable", { headers });
  await expect
    .poll(async () => ((await (await page.request.get("/api/plugins/boxed")).json()) as { state: string }).state, {
      timeout: START_MS,
    })
    .toBe("ready");
});

test.afterAll(async () => {
  calm();
  await page.context().close();
});

/**
 * On a phone no table is cut at its side or lacks a cell for those who count them, what is drawn before a cell is for
 * the eye only, and the tab that is open is one that can be seen.
 */
async function expectReadableOnPhone(page: Page): Promise<void> {
  await expectAccessible(page);
  for (const box of await page.locator("main [role=group]:has(> table)").all()) {
    const name = await box.getAttribute("aria-label");
    const [content, width] = await box.evaluate((element) => [element.scrollWidth, element.clientWidth]);
    expect(content, `${name} is cut`).toBeLessThanOrEqual(width ?? 0);
    const columns = await box.getByRole("columnheader").count();
    for (const row of (await box.getByRole("row").all()).slice(1, 4)) {
      await expect(row.getByRole("cell"), `${name} has a cell for each column`).toHaveCount(columns);
    }
    for (const cell of (await box.locator("td[data-title]").all()).slice(0, columns)) {
      const drawn = await cell.evaluate((element) => getComputedStyle(element, "::before").content);
      expect(drawn).toBe(`"${await cell.getAttribute("data-title")}" / ""`);
    }
  }
  const tab = page.getByRole("navigation", { name: "Sections of this plugin" }).locator("[data-status=active]");
  if ((await tab.count()) > 0) await expect(tab).toBeInViewport({ ratio: 0.99 });
}

for (const { route, at, heading, framed } of SCREENS) {
  if (!at) continue;
  test(`${route} is accessible in both themes and fits from 360 to 2560 pixels`, async () => {
    await page.goto(at.replace("{media}", media));
    if (heading) await expect(page.getByRole("heading", { name: heading }).first()).toBeVisible();
    if (framed) await expect(page.frameLocator("iframe").getByText(framed)).toBeVisible();
    await expect(page.getByText("Loading", { exact: true })).toHaveCount(0);
    for (const theme of THEMES) {
      await inTheme(page, theme);
      await expectAccessible(page);
    }
    for (const size of [SIZES.phone, SIZES.wide, SIZES.desktop]) {
      await page.setViewportSize(size);
      await expectFits(page);
      if (size === SIZES.phone) await expectReadableOnPhone(page);
    }
  });
}
