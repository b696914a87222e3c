// Takes the pictures of a running Nimbus at NIMBUS_URL; started by screenshots.py.
import { createRequire } from "node:module";
import path from "node:path";

const require = createRequire(new URL("../../frontend/package.json", import.meta.url));
const { chromium } = require("@playwright/test");
const { NIMBUS_URL: url, NIMBUS_PASSWORD: password, IMAGES: images } = process.env;

const browser = await chromium.launch({
  executablePath: process.env.NIMBUS_CHROMIUM ?? "/usr/bin/chromium",
  args: [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
  ],
});
try {
  const page = await browser.newPage({ viewport: { width: 1200, height: 680 }, colorScheme: "light" });
  page.setDefaultTimeout(60_000);

  const take = async (name) => {
    await page.evaluate(() => document.fonts.ready);
    await page.screenshot({ path: path.join(images, `${name}.png`), animations: "disabled" });
  };

  await page.goto(url);
  await page.getByLabel("User name").fill("admin");
  await page.getByLabel("Password", { exact: true }).fill(password);
  await page.getByRole("button", { name: "Sign in" }).click();

  await page.getByRole("switch", { name: "Enable Watchlist" }).waitFor();
  await page.getByRole("link", { name: "Watchlist", exact: true }).waitFor();
  await take("plugins");

  await page.getByRole("link", { name: "Watchlist", exact: true }).click();
  await page.getByRole("heading", { name: /Metropolis/ }).waitFor();
  await take("plugin-page");
} finally {
  await browser.close();
}
