import { statSync } from "node:fs";
import { expect, type Page, test } from "@playwright/test";
import { watchConsole } from "../support";
import { look, signedInPage } from "./look";

/*
 * A compatibility port for clients of another product, and a plugin's backup, as an operator makes them.
 */

let page: Page;
let calm: () => void;

test.beforeAll(async ({ browser, baseURL }) => {
  page = await signedInPage(browser, baseURL);
  calm = watchConsole(page);
});

test.afterAll(async () => {
  calm();
  await page.context().close();
});

test("a port is mapped to a plugin, answers for it, and is free again", async ({ playwright }) => {
  await page.goto("/manage/plugins/boxed");
  const card = page.getByRole("region", { name: "Ports" });
  await expect(card).toContainText("Clients of projector");
  await card.getByRole("button", { name: "Map this port" }).click();
  const free = card.getByRole("button", { name: /^Free port \d+$/ });
  await expect(free).toBeVisible();
  await look(page, "ports");
  const port = /\d+/.exec((await free.getAttribute("aria-label")) ?? "")?.[0];
  const client = await playwright.request.newContext();
  // The plugin's own rules count there: without a key it is refused, or the plugin is off, and no page of Nimbus comes.
  expect((await client.get(`http://127.0.0.1:${port}/old/films`)).status()).toBeGreaterThanOrEqual(401);
  expect((await client.get(`http://127.0.0.1:${port}/api/plugins`)).status()).toBe(404);
  await client.dispose();
  await free.click();
  const confirm = page.getByRole("dialog", { name: `Free port ${port}` });
  await confirm.getByRole("button", { name: "Free", exact: true }).click();
  await expect(card).toContainText("It has none yet.");
});

test("a backup is saved as a file", async () => {
  await page.goto("/manage/plugins/boxed/data");
  const saved = page.waitForEvent("download");
  await page.getByRole("button", { name: "Back up now" }).click();
  const file = await saved;
  expect(file.suggestedFilename()).toMatch(/^boxed-.*\.tar$/);
  expect(statSync(await file.path()).size).toBeGreaterThan(1024);
  await expect(page.getByRole("status").filter({ hasText: /\w/ })).toBeVisible();
  await look(page, "backup");
});
