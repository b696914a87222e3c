import { expect, type Page, test } from "@playwright/test";
import { expectAccessible } from "../support";
import { heading, look, password, START_MS, signedInPage, username } from "./look";

/* A backup of everything, made, fetched and restored: every session ends by that, so this signs in by itself. */

const PASSPHRASE = "a passphrase for the test";

let page: Page;

test.beforeAll(async ({ browser, baseURL }) => {
  page = await signedInPage(browser, baseURL);
});

test.afterAll(() => page.context().close());

test("everything is backed up, fetched, restored, and seen again after signing in", async ({ baseURL }) => {
  test.setTimeout(4 * START_MS);
  const origin = new URL(baseURL ?? "").origin;
  await page.goto("/system");
  await expect(page.getByRole("heading", { name: "No backup is kept here" })).toBeVisible();

  await page.getByRole("button", { name: "Back up everything" }).click();
  const making = page.getByRole("dialog", { name: "Back up everything" });
  await making.getByLabel("Passphrase", { exact: true }).fill("short");
  await making.getByRole("button", { name: "Begin" }).click();
  await expect(making.getByLabel("Passphrase", { exact: true })).toHaveAttribute("aria-invalid", "true");
  await making.getByLabel("Passphrase", { exact: true }).fill(PASSPHRASE);
  await making.getByLabel("Repeat the passphrase").fill(`${PASSPHRASE}!`);
  await making.getByRole("button", { name: "Begin" }).click();
  await expect(making.getByText("The two differ")).toBeVisible();
  await expectAccessible(page);
  await making.getByLabel("Repeat the passphrase").fill(PASSPHRASE);
  await making.getByRole("button", { name: "Begin" }).click();
  await expect(making).toBeHidden();
  await expect(page.getByText("Ready", { exact: true })).toBeVisible({ timeout: START_MS });
  await look(page, "system-backups");

  const [download] = await Promise.all([
    page.waitForEvent("download"),
    page.getByRole("link", { name: /^Download the backup of/ }).click(),
  ]);
  expect(download.suggestedFilename()).toMatch(/\.nimbus-system\.tar$/);
  expect(await download.failure()).toBeNull();

  const later = { kind: "movie", title: "Added after the backup" };
  expect((await page.request.post("/api/media", { data: later, headers: { origin } })).status()).toBe(201);

  await page.getByRole("button", { name: /^Restore the backup of/ }).click();
  const asking = page.getByRole("dialog", { name: "Replace everything?" });
  await asking.getByLabel("Passphrase of the backup").fill("another passphrase");
  const name = asking.getByLabel(/^Type .* to go on$/);
  await name.fill(/Type (\S+) to/.exec((await asking.textContent()) ?? "")?.[1] ?? "");
  await asking.getByRole("button", { name: "Replace everything" }).click();
  await expect(asking.getByRole("alert")).toContainText("another passphrase");
  await expectAccessible(page);
  await asking.getByLabel("Passphrase of the backup").fill(PASSPHRASE);
  await asking.getByRole("button", { name: "Replace everything" }).click();
  await expect(page).toHaveURL(/\/restoring$/);
  await expect(heading(page, "Everything is restored")).toBeVisible({ timeout: 2 * START_MS });
  await look(page, "restored");

  await page.getByRole("button", { name: "Go to Nimbus" }).click();
  await expect(page).toHaveURL(/\/sign-in/);
  await page.getByLabel("User name").fill(username);
  await page.getByLabel("Password", { exact: true }).fill(password);
  await page.getByRole("button", { name: "Sign in" }).click();
  await expect(page).toHaveURL(/\/system$/);
  await expect(page.getByText("From before a restore")).toBeVisible();
  await expect(page.getByRole("heading", { name: "Last restore" })).toBeVisible();
  const found = await page.request.get("/api/media?search=Added%20after");
  expect(((await found.json()) as { items: unknown[] }).items).toEqual([]);

  for (let left = 2; left > 0; left -= 1) {
    await page
      .getByRole("button", { name: /^Delete the backup of/ })
      .first()
      .click();
    await page.getByRole("dialog").getByRole("button", { name: "Delete" }).click();
    await expect(page.getByRole("button", { name: /^Delete the backup of/ })).toHaveCount(left - 1);
  }
});
