import { gallery } from "../stand-in/plugins";
import { expectAccessible, expectFits, inTheme, picture, THEMES, watchConsole } from "../support";
import { expect, openSignedIn, test } from "./stand";

test("Ctrl-K goes anywhere and does things, by keyboard alone", async ({ page, nimbus }) => {
  const calm = watchConsole(page);
  nimbus.addHello();
  nimbus.add(...gallery());
  await openSignedIn(page, nimbus, "/plugins");
  const before = page.getByRole("button", { name: "Rescan" });
  await before.focus();
  const box = page.getByRole("combobox", { name: "Go to or do" });

  await page.keyboard.press("Control+k");
  await expect(box).toBeFocused();
  for (const theme of THEMES) {
    await inTheme(page, theme);
    await expectAccessible(page);
    await picture(page, `palette-${theme}-desktop`);
  }
  await page.setViewportSize({ width: 360, height: 740 });
  await expectFits(page);
  await picture(page, "palette-dark-phone");
  await page.setViewportSize({ width: 1280, height: 800 });

  await page.keyboard.press("Escape");
  await expect(box).toHaveCount(0);
  await expect(before).toBeFocused();

  await page.keyboard.press("Control+k");
  await box.fill("enable hello");
  await page.keyboard.press("Enter");
  await expect(page.getByRole("region", { name: "Hello", exact: true })).toHaveAttribute("data-state", "ready");
  expect(nimbus.seen).toContain("POST /api/plugins/hello/enable");

  await page.getByRole("button", { name: /Search or do/ }).click();
  await box.fill("details");
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("ArrowUp");
  await page.keyboard.press("ArrowUp");
  await page.keyboard.press("Enter");
  await expect(page).toHaveURL(/\/manage\/plugins\/[a-z]+$/);

  await page.keyboard.press("Control+k");
  await box.fill("no such thing at all");
  await expect(page.getByText("Nothing fits.")).toBeVisible();
  calm();
});
