import { test as base, type Page } from "@playwright/test";
import { StandIn } from "../stand-in/server";

/** Each test has a gateway's stand-in of its own. */
export const test = base.extend<{ nimbus: StandIn }>({
  // biome-ignore lint/correctness/noEmptyPattern: Playwright reads the fixture's needs from the pattern
  nimbus: async ({}, use) => {
    const nimbus = new StandIn();
    await nimbus.start();
    await use(nimbus);
    await nimbus.stop();
  },
});

export { expect } from "@playwright/test";

/** Open a page as somebody who is signed in. */
export async function openSignedIn(page: Page, nimbus: StandIn, path: string): Promise<void> {
  nimbus.signedIn = true;
  await page.goto(`${nimbus.url}${path}`);
}
