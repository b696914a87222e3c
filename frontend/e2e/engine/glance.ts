import type { Page } from "@playwright/test";
import { SIZES } from "../console/look";
import { expectAccessible, expectFits, inTheme, picture } from "../support";

/** The screen as it is now, with axe in both themes: light on a desktop, dark on a phone. */
export async function glance(page: Page, name: string): Promise<void> {
  await inTheme(page, "light");
  await expectAccessible(page);
  await picture(page, `compose-${name}-light-desktop`, true);
  await inTheme(page, "dark");
  await page.setViewportSize(SIZES.phone);
  await expectFits(page);
  await expectAccessible(page);
  await picture(page, `compose-${name}-dark-phone`, true);
  await page.setViewportSize(SIZES.desktop);
  await inTheme(page, "light");
}
