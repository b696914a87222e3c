import { expect, type Page, test } from "@playwright/test";
import { expectAccessible, picture, watchConsole } from "../support";
import { heading, look, signedInPage, strangersPage, username } from "./look";

/* Invitations and sessions, against a real Nimbus: who is invited signs in, and is signed out again from here. */

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

test("an invited person makes an account, is seen, and is signed out", async ({ browser, baseURL }) => {
  test.setTimeout(180_000); // many pictures, and two browsers
  await page.goto("/access");
  await page.getByRole("button", { name: "Invite somebody" }).click();
  const form = page.getByRole("dialog", { name: "Invite somebody" });
  await form.getByLabel("For whom (optional)").fill("The living room");
  await form.getByLabel("Good for").selectOption("24");
  await expectAccessible(page);
  await form.getByRole("button", { name: "Make link" }).click();
  const shown = page.getByRole("dialog", { name: "The invitation is made" });
  const link = (await shown.locator("code").textContent()) ?? "";
  expect(link).toContain("/invitation#");
  await expectAccessible(page);
  await picture(page, "console-invitation-made");
  await shown.getByRole("button", { name: "I have kept it" }).click();
  const row = page.getByRole("row", { name: /The living room/ });
  await expect(row).toContainText("Open");
  expect(await page.content()).not.toContain(link);

  const other = await strangersPage(browser, baseURL);
  const otherCalm = watchConsole(other);
  await other.goto(link);
  await expect(heading(other, "You are invited")).toBeVisible();
  await look(other, "invitation");
  await other.getByLabel("User name").fill(username);
  await other.getByRole("textbox", { name: "Password", exact: true }).fill("enough for a living room");
  await other.getByRole("textbox", { name: "Repeat the password" }).fill("enough for a living room");
  await other.getByRole("button", { name: "Make my account" }).click();
  await expect(other.getByRole("alert")).toContainText(username);
  await other.getByLabel("User name").fill("living-room");
  await other.getByRole("button", { name: "Make my account" }).click();
  await expect(heading(other, "Home")).toBeVisible();

  await page.reload();
  await expect(row).toContainText("by living-room");
  await look(page, "invitations");
  await page.getByRole("button", { name: "Sessions of living-room" }).click();
  const sessions = page.getByRole("dialog", { name: "Where living-room is signed in" });
  await expect(sessions.getByText(/on Linux/)).toBeVisible();
  await expectAccessible(page);
  await sessions.getByRole("button", { name: "Sign out everywhere" }).click();
  await expect(page.getByText("living-room is signed out.").first()).toBeVisible();
  await expect.poll(async () => (await other.request.get("/api/auth/me")).status()).toBe(401);
  otherCalm();
  await other.context().close();
});

test("a link that was used or withdrawn says so", async ({ browser, baseURL }) => {
  await page.goto("/access");
  await page.getByRole("button", { name: "Take out of the list: The living room" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Take out of the list" }).click();
  await expect(page.getByRole("heading", { name: "Nobody is invited" })).toBeVisible();
  await page.getByRole("button", { name: "Invite somebody" }).click();
  await page.getByRole("button", { name: "Make link" }).click();
  const link = (await page.getByRole("dialog").locator("code").textContent()) ?? "";
  await page.keyboard.press("Escape");
  await page.getByRole("button", { name: "Withdraw invitation: No note" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Withdraw" }).click();
  await expect(page.getByText("The invitation is withdrawn.").first()).toBeVisible();
  const other = await strangersPage(browser, baseURL);
  await other.goto(link);
  await expect(heading(other, "This invitation does not work")).toBeVisible();
  await look(other, "invitation-withdrawn");
  await other.context().close();
});

test("one's own sessions are listed and ended one by one", async ({ browser, baseURL }) => {
  const other = await signedInPage(browser, baseURL);
  await page.goto("/account");
  const list = page.getByRole("list", { name: "Where you are signed in" });
  await expect(list.getByText("This browser")).toBeVisible();
  await expect(list.getByRole("button").first()).toBeVisible();
  const before = await list.getByRole("button").count();
  await look(page, "account");
  for (let left = before; left > 0; left -= 1) {
    await list.getByRole("button").first().click();
    await expect(list.getByRole("button")).toHaveCount(left - 1);
  }
  await expect.poll(async () => (await other.request.get("/api/auth/me")).status()).toBe(401);
  await other.context().close();
});
