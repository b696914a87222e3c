import { expect, openSignedIn, test } from "./stand";

test("a wrong password, too many of them, then the right one, and back to where one was going", async ({
  page,
  nimbus,
}) => {
  nimbus.addHello();
  await page.goto(`${nimbus.url}/manage/plugins/hello/history`);
  await expect(page).toHaveURL(/\/sign-in/);
  await expect(page.getByLabel("User name")).toBeFocused();
  await page.getByLabel("User name").fill("admin");
  const password = page.getByRole("textbox", { name: "Password" });
  await password.fill("wrong");
  await page.keyboard.press("Enter");
  await expect(page.getByRole("alert")).toHaveText("The user name or the password is wrong.");
  await password.fill("slow down");
  await page.keyboard.press("Enter");
  await expect(page.getByRole("alert")).toHaveText("Too many attempts. Try again in 30 seconds.");
  await password.fill("correct horse");
  await page.keyboard.press("Enter");
  await expect(page).toHaveURL(/\/manage\/plugins\/hello\/history$/);
});

test("a session that ends under way leads to the sign-in page and back", async ({ page, nimbus }) => {
  nimbus.addHello();
  await openSignedIn(page, nimbus, "/manage/plugins/hello");
  await expect(page.getByRole("heading", { level: 1, name: "Hello" })).toBeVisible();
  nimbus.signedIn = false;
  await page.getByRole("switch", { name: "Enable Hello" }).click();
  await expect(page.getByText("Your session has ended.")).toBeVisible();
  await page.getByLabel("User name").fill("admin");
  await page.getByRole("textbox", { name: "Password" }).fill("correct horse");
  await page.keyboard.press("Enter");
  await expect(page).toHaveURL(/\/manage\/plugins\/hello$/);
});

test("the first administrator is made with the code from the log", async ({ page, nimbus }) => {
  nimbus.system.setupNeeded = true;
  await page.goto(nimbus.url);
  await page.getByLabel("Set-up code").fill("a guess");
  await page.getByRole("textbox", { name: "Password", exact: true }).fill("short");
  await page.getByRole("textbox", { name: "Repeat the password" }).fill("different");
  await page.getByRole("button", { name: "Create administrator" }).click();
  await expect(page.getByText("Use at least 8 characters.")).toBeVisible();
  await expect(page.getByText("The two passwords differ.")).toBeVisible();
  expect(nimbus.seen.filter((call) => call.startsWith("POST"))).toEqual([]);
  await page.getByRole("textbox", { name: "Password", exact: true }).fill("correct horse battery");
  await page.getByRole("textbox", { name: "Repeat the password" }).fill("correct horse battery");
  await page.getByRole("button", { name: "Create administrator" }).click();
  await expect(page.getByRole("alert")).toHaveText("The set-up code is wrong.");
  await page.getByLabel("Set-up code").fill("first-code");
  await page.getByRole("button", { name: "Create administrator" }).click();
  await expect(page.getByRole("heading", { level: 1, name: "Home" })).toBeVisible();
});

test("signing out ends the session and says nothing of an expiry", async ({ page, nimbus }) => {
  await openSignedIn(page, nimbus, "/plugins");
  await page.getByRole("button", { name: "Account of admin" }).click();
  await page.getByRole("menuitem", { name: "Sign out" }).click();
  await expect(page.getByRole("heading", { name: "Sign in" })).toBeVisible();
  await expect(page.getByText("Your session has ended.")).toHaveCount(0);
  expect(nimbus.signedIn).toBe(false);
});

test("one's password is changed by keyboard, with what is wrong at its field", async ({ page, nimbus }) => {
  await openSignedIn(page, nimbus, "/plugins");
  await page.getByRole("button", { name: "Account of admin" }).press("Enter");
  await page.getByRole("menuitem", { name: "Account and password" }).press("Enter");
  await expect(page).toHaveURL(/\/account$/);
  await expect(page.getByRole("heading", { level: 1, name: "Your account" })).toBeFocused();
  const present = page.getByLabel("Present password");
  const fresh = page.getByRole("textbox", { name: "New password", exact: true });
  const repeat = page.getByRole("textbox", { name: "Repeat the new password" });
  const type = async (one: string, two: string, three: string) => {
    await present.fill(one);
    await fresh.fill(two);
    await repeat.fill(three);
    await page.keyboard.press("Enter");
  };

  await type("a guess", "short", "other");
  await expect(fresh).toBeFocused();
  await expect(fresh).toHaveAccessibleDescription(/8 to 256 characters\..*Use at least 8 characters\./);
  await expect(repeat).toHaveAccessibleDescription("The two passwords differ.");
  expect(nimbus.seen).not.toContain("POST /api/auth/password");

  await type("a guess", "password", "password");
  await expect(present).toBeFocused();
  await expect(present).toHaveAccessibleDescription("The present password is wrong.");

  await type("correct horse", "password", "password");
  await expect(fresh).toBeFocused();
  await expect(fresh).toHaveAccessibleDescription(/a password that is not on every list/);

  await type("slow down", "better than before", "better than before");
  await expect(page.getByRole("alert")).toHaveText("Too many attempts. Try again in 30 seconds.");

  await type("correct horse", "better than before", "better than before");
  await expect(page.getByRole("status").filter({ hasText: "Your password is changed" })).toContainText(
    "All other sessions of this account were signed out.",
  );
  await expect(page.getByRole("alert")).toHaveCount(0);
  for (const field of [present, fresh, repeat]) await expect(field).toHaveValue("");
  await expect(page.getByRole("heading", { level: 1, name: "Your account" })).toBeVisible();
});

test("a chosen theme stays, from the first paint on", async ({ page, nimbus }) => {
  await openSignedIn(page, nimbus, "/plugins");
  await page.getByRole("button", { name: "Account of admin" }).click();
  await page.getByRole("menuitemradio", { name: "Dark" }).click();
  await expect(page.locator("html")).toHaveAttribute("data-theme", "dark");
  await page.goto(`${nimbus.url}/plugins`, { waitUntil: "commit" });
  await expect(page.locator("html")).toHaveAttribute("data-theme", "dark");
});

test("somebody who is no administrator sees plugins and cannot switch them", async ({ page, nimbus }) => {
  nimbus.user.role = "user";
  nimbus.addHello();
  await openSignedIn(page, nimbus, "/plugins");
  await expect(page.getByRole("region", { name: "Hello" })).toBeVisible();
  await expect(page.getByRole("switch")).toHaveCount(0);
  await expect(page.getByRole("button", { name: "Rescan" })).toHaveCount(0);
  await page.goto(`${nimbus.url}/plugins/hello`);
  await expect(page.getByText("Ask an administrator to enable it.")).toBeVisible();
});

test("without Nimbus a page that is not here yet says so, and comes by itself", async ({ page, nimbus }) => {
  await openSignedIn(page, nimbus, "/plugins");
  await expect(page.getByRole("heading", { level: 1, name: "Plugins" })).toBeVisible();
  await page.context().setOffline(true);
  // Only pointing at it has the browser fetch it; that must not cost the page either.
  await page.getByRole("link", { name: "Webhooks" }).hover();
  await page.getByRole("link", { name: "Webhooks" }).click();
  await expect(page.getByRole("heading", { name: "This page could not be loaded" })).toBeVisible();
  await expect(page.getByRole("link", { name: "Library" })).toBeVisible();
  await page.keyboard.press("Control+k");
  const notes = page.getByRole("region", { name: "Short notes" });
  await expect(notes.getByText("Nimbus does not answer right now.")).toBeVisible();
  await expect(page.getByRole("combobox")).toHaveCount(0);
  await page.context().setOffline(false);
  // What is fetched at the moment of the change may fail once more: then it is tried again a little later.
  await expect(page.getByRole("heading", { level: 1, name: "Webhooks" })).toBeVisible({ timeout: 60_000 });
});
