import { expect, type Locator, type Page, test } from "@playwright/test";
import { watchConsole } from "../support";
import { heading, password, START_MS, strangersPage, username } from "./look";

/* Nimbus by keyboard alone: whatever is pressed, the focus can be seen and is somewhere. */

const MOST_TABS = 120;
let page: Page;
let calm: () => void;

test.describe.configure({ mode: "serial" });

test.beforeAll(async ({ browser, baseURL }) => {
  page = await strangersPage(browser, baseURL);
  calm = watchConsole(page);
});

test.afterAll(async () => {
  calm();
  await page.context().close();
});

const press = (key: string) => page.keyboard.press(key);

/** Goes there by Tab; on the way, and there, one sees where one is. */
async function tabTo(target: Locator): Promise<void> {
  await expect(target).toBeVisible();
  for (let tabs = 0; tabs < MOST_TABS; tabs += 1) {
    await press("Tab");
    const seen = await page.evaluate(() => {
      const element = document.activeElement;
      if (!element || element === document.body) return "the end of the page";
      const { outlineStyle, outlineWidth } = getComputedStyle(element);
      return outlineStyle !== "none" && Number.parseFloat(outlineWidth) > 0 ? "" : element.outerHTML.slice(0, 200);
    });
    expect(seen === "the end of the page" ? "" : seen, "the focus cannot be seen").toBe("");
    if (await target.evaluate((element) => element === document.activeElement)) return;
  }
  throw new Error(`no way to ${target} by keyboard`);
}

async function go(name: string): Promise<void> {
  await press("Control+k");
  await expect(page.getByRole("combobox", { name: "Go to or do" })).toBeFocused();
  await page.keyboard.type(name);
  await expect(page.getByRole("option").first()).toContainText(name);
  await press("Enter");
  await expect(heading(page, name)).toBeFocused();
}

test("sign in, switch a plugin on, open its page and come back", async () => {
  test.setTimeout(START_MS);
  await page.goto("/");
  await expect(page.getByLabel("User name")).toBeFocused();
  await page.keyboard.type(username);
  await press("Tab");
  await page.keyboard.type(password);
  await press("Enter");
  await expect(heading(page, "Home")).toBeFocused();
  await go("Plugins");
  const card = page.getByRole("region", { name: "Hello", exact: true });
  const enable = card.getByRole("switch", { name: "Enable Hello" });
  await tabTo(enable);
  await press("Space");
  await expect(card).toHaveAttribute("data-state", "ready", { timeout: START_MS });
  await expect(enable).toBeFocused();
  await tabTo(card.getByRole("link", { name: "Open Hello" }));
  await press("Enter");
  await expect(page.getByRole("region", { name: "Hello" })).toBeFocused();
  await tabTo(page.getByRole("button", { name: "Call hello" }));
  await page.goBack();
  await expect(heading(page, "Plugins")).toBeFocused();
});

test("a dialog begins in its field, and gives the focus back however it ends", async ({ baseURL }) => {
  const made = await page.request.post("/api/admin/users", {
    data: { username: "keys", password: "a password to type", role: "user" },
    headers: { origin: new URL(baseURL ?? "").origin },
  });
  expect(made.status()).toBe(201);
  await go("Users and keys");
  const remove = page.getByRole("button", { name: "Delete keys" });
  const dialog = page.getByRole("dialog", { name: "Delete keys" });
  const typed = dialog.getByLabel("Type keys to go on");
  // Also out of the page: the next key is for what is below it.
  const expectGone = () => expect(page.locator("main dialog")).toHaveCount(0);
  await tabTo(remove);
  await press("Enter");
  await expect(typed).toBeFocused();
  await press("Escape");
  await expectGone();
  await expect(remove).toBeFocused();
  await press("Enter");
  await tabTo(dialog.getByRole("button", { name: "Cancel" }));
  await press("Enter");
  await expectGone();
  await expect(remove).toBeFocused();
  await press("Enter");
  await expect(typed).toBeFocused();
  await page.keyboard.type("keys");
  await press("Enter");
  await expect(remove).toHaveCount(0);
  // What opened the dialog went with the account: one is at a title, not nowhere.
  await expect(page.locator("main :is(h1, h2):focus")).toHaveCount(1);
});

test("settings with a list, and the log, which stops following for whoever reads", async () => {
  await page.goto("/manage/plugins/boxed/settings");
  const sources = page.getByRole("group", { name: "Sources", exact: true });
  const names = sources.getByRole("textbox", { name: "Name", exact: true });
  const add = sources.getByRole("button", { name: "Add an entry" });
  await expect(add).toBeVisible();
  const before = await names.count();
  await tabTo(add);
  await press("Enter");
  await expect(names.nth(before)).toBeFocused();
  await page.keyboard.type("typed");
  await tabTo(sources.getByRole("button", { name: `Remove Sources ${before + 1}` }));
  await press("Enter");
  await expect(names).toHaveCount(before);
  await expect(sources.locator(":focus")).toHaveCount(1);

  await page.goto("/manage/plugins/hello/logs");
  const log = page.getByRole("log");
  const follow = page.getByRole("button", { name: "Follow" });
  await expect(log.locator("[data-index]").first()).toBeVisible();
  await tabTo(follow);
  await press("Enter");
  await expect(follow).toHaveAttribute("aria-pressed", "false");
  await tabTo(log);
  await press("End");
  await expect(follow).toHaveAttribute("aria-pressed", "true");
});

test("switched off again", async () => {
  await page.goto("/plugins");
  const card = page.getByRole("region", { name: "Hello", exact: true });
  await tabTo(card.getByRole("switch", { name: "Enable Hello" }));
  await press("Space");
  await expect(card).toHaveAttribute("data-state", "disabled", { timeout: 60_000 });
});
