import { fakePlugin, gallery } from "../stand-in/plugins";
import type { StandIn } from "../stand-in/server";
import { expectAccessible, expectFits, inTheme, picture, THEMES, watchConsole } from "../support";
import { expect, openSignedIn, test } from "./stand";

/* The list in both ways of looking at it: found, marked, and switched many at a time. */

function many(nimbus: StandIn, count: number): void {
  for (let index = 0; index < count; index += 1) {
    const capabilities = index % 2 === 0 ? ["api"] : ["api", "ui"];
    const name = `Plugin ${String(index).padStart(3, "0")}`;
    nimbus.add(fakePlugin({ id: `plugin-${index}`, name, description: "One of many.", capabilities }));
  }
}

test("the address holds search, state, capability and order; the way of looking is remembered", async ({
  page,
  nimbus,
}) => {
  nimbus.addHello();
  nimbus.add(...gallery());
  await openSignedIn(page, nimbus, "/plugins?capability=events&sort=state");
  const cards = page.locator("[data-plugin]");
  await expect(cards).toHaveCount(3);
  await page.getByRole("button", { name: "Table", exact: true }).click();
  const table = page.getByRole("table", { name: "Plugins" });
  await expect(table.getByRole("row")).toHaveCount(4);
  await expect(table.locator("[data-plugin]").first()).toHaveAttribute("data-plugin", "transcoder");
  await page.getByRole("button", { name: /Needs attention/ }).click();
  await page.getByRole("searchbox", { name: "Search plugins" }).fill("name");
  await expect(cards).toHaveCount(1);
  await expect(page).toHaveURL(/capability=events&sort=state&state=attention&q=name/);
  await page.reload();
  await expect(cards).toHaveCount(1);
  await expect(table).toBeVisible();
  await expect(page.getByRole("searchbox")).toHaveValue("name");
  await page.getByRole("searchbox").fill("nothing has these words");
  await page.getByRole("button", { name: "Show all plugins" }).click();
  await expect(cards).toHaveCount(6);
  await expect(page.getByRole("searchbox")).toHaveValue("");
  await page.getByRole("columnheader", { name: "Plugin" }).getByRole("button").click();
  await expect(cards.first()).toHaveAttribute("data-plugin", "broken");
  await page.getByRole("columnheader", { name: "Plugin" }).getByRole("button").click();
  await expect(page.getByRole("columnheader", { name: "Plugin" })).toHaveAttribute("aria-sort", "descending");
});

test("many are marked and enabled by keyboard alone, and each says what came of it", async ({ page, nimbus }) => {
  const calm = watchConsole(page);
  nimbus.pace = 10;
  many(nimbus, 12);
  nimbus.failing.set("/api/plugins/plugin-2/enable", { status: 409, detail: "Nobody has decided what it may do." });
  await openSignedIn(page, nimbus, "/plugins");
  await page.getByRole("button", { name: "Table", exact: true }).click();
  await page.getByRole("button", { name: "Select", exact: true }).focus();
  await page.keyboard.press("Enter");
  await page.getByRole("checkbox", { name: "Select Plugin 001" }).focus();
  await page.keyboard.press("Space");
  await page.getByRole("checkbox", { name: "Select Plugin 004" }).focus();
  await page.keyboard.press("Shift+Space");
  await expect(page.getByText("4 selected")).toBeVisible();
  const enable = page.getByRole("button", { name: "Enable 4", exact: true });
  await enable.focus();
  await page.keyboard.press("Enter");
  await expect(page.getByRole("button", { name: "Select", exact: true })).toBeFocused();
  const result = page.getByRole("region", { name: "Enabling 4 plugins" });
  await expect(result.locator('[data-outcome="done"]')).toHaveCount(3);
  await expect(result.locator('[data-outcome="failed"]')).toContainText("Nobody has decided what it may do.");
  await expect(result).toContainText("3 running, 1 failed");
  nimbus.failing.clear();
  await result.getByRole("button", { name: "Try 1 again" }).click();
  await expect(page.getByRole("main").getByText("1 running", { exact: true })).toBeVisible();
  calm();
});

test("disabling many says what that means, and can be taken back", async ({ page, nimbus }) => {
  nimbus.pace = 10;
  many(nimbus, 4);
  for (const id of ["plugin-0", "plugin-1"]) nimbus.set(id, "ready", { enabled: true });
  await openSignedIn(page, nimbus, "/plugins");
  await page.getByRole("button", { name: "Select", exact: true }).click();
  await page.getByRole("button", { name: "Select all 4" }).click();
  await page.getByRole("button", { name: "Disable 2" }).click();
  const dialog = page.getByRole("dialog", { name: "Disable 2 plugins?" });
  await expect(dialog).toContainText("Settings and data stay.");
  await expect(dialog.getByRole("listitem")).toHaveText(["Plugin 000", "Plugin 001"]);
  await dialog.getByRole("button", { name: "Disable 2" }).click();
  const result = page.getByRole("region", { name: "Disabling 4 plugins" });
  await expect(result).toContainText("2 off, 2 left out");
  await result.getByRole("button", { name: "Enable them again" }).click();
  await expect(page.getByRole("main").getByText("2 running", { exact: true })).toBeVisible();
  await page.getByRole("button", { name: "Hide this result" }).click();
  await expect(page.getByRole("main").getByText("2 running", { exact: true })).toHaveCount(0);
});

test("Escape ends the selection and gives the focus back", async ({ page, nimbus }) => {
  many(nimbus, 3);
  await openSignedIn(page, nimbus, "/plugins");
  const start = page.getByRole("button", { name: "Select", exact: true });
  await start.click();
  await page.getByRole("checkbox", { name: "Select Plugin 001" }).check();
  await page.keyboard.press("Escape");
  await expect(page.getByRole("checkbox", { name: "Select Plugin 001" })).toHaveCount(0);
  await expect(start).toBeFocused();
});

test("whoever is no administrator marks and switches nothing", async ({ page, nimbus }) => {
  nimbus.user.role = "user";
  many(nimbus, 2);
  await openSignedIn(page, nimbus, "/plugins");
  await expect(page.locator("[data-plugin]")).toHaveCount(2);
  await expect(page.getByRole("button", { name: "Select", exact: true })).toHaveCount(0);
  await expect(page.getByRole("switch")).toHaveCount(0);
});

test("a row that has the focus stays in the page while one scrolls", async ({ page, nimbus }) => {
  many(nimbus, 200);
  await openSignedIn(page, nimbus, "/plugins");
  for (const view of ["Table", "Cards"]) {
    await page.getByRole("button", { name: view, exact: true }).click();
    await page.evaluate(() => scrollTo(0, 0));
    const toggle = page.getByRole("switch", { name: "Enable Plugin 001" });
    await toggle.focus();
    await page.evaluate(() => scrollTo(0, document.body.scrollHeight));
    await expect(page.locator("[data-plugin='plugin-199']")).toBeVisible();
    await expect(toggle).toBeFocused();
    expect(await page.locator("[data-plugin]").count()).toBeLessThan(60);
  }
});

for (const theme of THEMES) {
  test(`table and selection, ${theme}`, async ({ page, nimbus }) => {
    const calm = watchConsole(page);
    nimbus.addHello();
    nimbus.add(...gallery());
    await openSignedIn(page, nimbus, "/plugins");
    await inTheme(page, theme);
    await page.getByRole("button", { name: "Select", exact: true }).click();
    await page.getByRole("checkbox", { name: "Select Captions" }).check();
    await page.getByRole("checkbox", { name: "Select Hello" }).check();
    for (const [size, width] of [
      ["desktop", 1280],
      ["phone", 360],
      ["wide", 2560],
    ] as const) {
      await page.setViewportSize({ width, height: 900 });
      for (const view of ["Cards", "Table"]) {
        await page.getByRole("button", { name: view, exact: true }).click();
        await expect(page.getByRole("checkbox", { name: "Select Captions" })).toBeChecked();
        await expectAccessible(page);
        await expectFits(page);
        await picture(page, `plugins-select-${view.toLowerCase()}-${theme}-${size}`, true);
      }
    }
    await page.setViewportSize({ width: 1280, height: 900 });
    await page.getByRole("button", { name: "Enable 1", exact: true }).click();
    await expect(page.getByRole("main").getByText("1 running, 1 left out")).toBeVisible();
    await expectAccessible(page);
    await picture(page, `plugins-bulk-result-${theme}`, true);
    calm();
  });
}
