// Signs in to NIMBUS_URL and waits until the page of the plugin PLUGIN shows HEADING and WORDS, wherever it runs.
import { createRequire } from "node:module";

const require = createRequire(new URL("../../frontend/package.json", import.meta.url));
const { chromium } = require("@playwright/test");
const { NIMBUS_URL: url, NIMBUS_PASSWORD: password, PLUGIN: plugin, HEADING: heading, WORDS: words } = process.env;

const browser = await chromium.launch({
  executablePath: process.env.NIMBUS_CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"],
});
try {
  const page = await browser.newPage();
  page.setDefaultTimeout(60_000);
  await page.goto(url);
  await page.getByLabel("User name").fill("admin");
  await page.getByLabel("Password", { exact: true }).fill(password);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByRole("link", { name: heading, exact: true }).click();
  await page.waitForURL(`**/plugins/${plugin}`);
  // In the dashboard itself or in a frame, as the operator trusts it.
  const deadline = Date.now() + 90_000;
  for (;;) {
    const seen = [];
    for (const frame of page.frames()) {
      const here = frame.getByRole("heading", { name: heading, level: 1 });
      seen.push((await here.isVisible().catch(() => false)) && (await frame.getByText(words).isVisible()));
    }
    const at = seen.indexOf(true);
    if (at >= 0) {
      console.log(await page.frames()[at].locator("body").innerText());
      break;
    }
    if (Date.now() > deadline) throw new Error(`the page does not say ${words}: ${await page.content()}`);
    await page.waitForTimeout(100);
  }
} finally {
  await browser.close();
}
