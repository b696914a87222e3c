import type { Page } from "@playwright/test";
import { fakePlugin } from "../stand-in/plugins";
import { expect, openSignedIn, test } from "./stand";

/*
 * Much of everything. What is held is how much is in the page, which does not depend on the machine; times are
 * reported, and only a standstill is a failure.
 */

const STANDSTILL_MS = 1_000;

/** The longest that the page did not answer while something was done. */
async function longestTask(page: Page, doing: () => Promise<void>): Promise<number> {
  await page.evaluate(() => {
    const seen = { longest: 0 };
    Object.assign(window, { seen });
    new PerformanceObserver((list) => {
      for (const entry of list.getEntries()) seen.longest = Math.max(seen.longest, entry.duration);
    }).observe({ type: "longtask" });
  });
  await doing();
  return page.evaluate(() => (window as unknown as { seen: { longest: number } }).seen.longest);
}

function report(what: string, milliseconds: number): void {
  process.stdout.write(`    ${what}: ${Math.round(milliseconds)} ms\n`);
}

test("10 000 media items scroll, and few of them are in the page", async ({ page, nimbus }) => {
  nimbus.mediaItems = 10_000;
  await openSignedIn(page, nimbus, "/library");
  const rows = page.getByRole("list", { name: "Library" }).getByRole("listitem");
  await expect(rows.first()).toBeVisible();
  const longest = await longestTask(page, async () => {
    for (let round = 0; round < 60; round += 1) {
      await page.mouse.wheel(0, 20_000);
      const count = await page.evaluate(() => document.querySelectorAll("main li").length);
      expect(count).toBeLessThan(120);
      if (await page.getByText("Film 9999").isVisible()) break;
    }
  });
  await expect(page.getByText("Film 9999")).toBeVisible();
  report("longest task while scrolling 10 000 rows", longest);
  expect(longest).toBeLessThan(STANDSTILL_MS);
});

test("100 000 lines of a log are followed, and few of them are in the page", async ({ page, nimbus }) => {
  const hello = nimbus.addHello();
  for (let line = 0; line < 100_000; line += 1) hello.log.push({ stream: "stdout", text: `line ${line}` });
  await openSignedIn(page, nimbus, "/manage/plugins/hello/logs");
  const log = page.getByRole("log");
  await expect(log.getByText("line 99999")).toBeInViewport({ timeout: 60_000 });
  expect(await log.locator("[data-index]").count()).toBeLessThan(150);
  const longest = await longestTask(page, async () => {
    await log.hover();
    for (let round = 0; round < 20; round += 1) await page.mouse.wheel(0, -3_000);
    await page.getByLabel("Filter lines").fill("line 4242");
    await expect(log.getByText("line 42420", { exact: true })).toBeVisible();
  });
  report("longest task while scrolling and filtering 100 000 lines", longest);
  expect(longest).toBeLessThan(STANDSTILL_MS);
});

test("200 plugins: the first paint, and how soon a press answers", async ({ page, nimbus }) => {
  for (let index = 0; index < 200; index += 1) {
    nimbus.add(fakePlugin({ id: `plugin-${index}`, name: `Plugin ${index}`, description: "One of many." }));
  }
  await openSignedIn(page, nimbus, "/plugins");
  await expect(page.getByRole("region", { name: "Plugin 0", exact: true })).toBeVisible();
  const paint = await page.evaluate(() => performance.getEntriesByName("first-contentful-paint")[0]?.startTime ?? 0);
  expect(paint).toBeGreaterThan(0);
  report("first contentful paint", paint);
  const longest = await longestTask(page, async () => {
    await page.getByRole("searchbox").fill("Plugin 199");
    await expect(page.getByRole("region", { name: "Plugin 199", exact: true })).toBeVisible();
    await page.getByRole("searchbox").fill("");
    for (let round = 0; round < 20; round += 1) await page.mouse.wheel(0, 2_000);
  });
  report("longest task while searching and scrolling 200 plugins", longest);
  expect(longest).toBeLessThan(STANDSTILL_MS);
});
