import { type APIRequestContext, expect, type Page, test } from "@playwright/test";
import { expectAccessible, inTheme, picture, pictureAbove, watchConsole } from "../support";
import { heading as headingOf, password, SIZES, START_MS, look as seen, username } from "./look";

/*
 * Every screen for people who run Nimbus, against a real one: what is done here is done, and axe looks at each screen
 * in both themes, on a desktop and on a small phone. The plugin `boxed` fills every place that plugins may fill.
 */

let page: Page;
let calm: () => void;

const look = (name: string) => seen(page, name);
const api = (): APIRequestContext => page.request;
const heading = (name: string) => headingOf(page, name);

test.beforeAll(async ({ browser, baseURL }) => {
  test.setTimeout(START_MS * 2);
  const context = await browser.newContext({ ...(baseURL && { baseURL }), viewport: SIZES.desktop });
  page = await context.newPage();
  calm = watchConsole(page);
  await page.goto("/");
  await page.getByLabel("User name").fill(username);
  await page.getByRole("textbox", { name: "Password" }).fill(password);
  await page.getByRole("button", { name: "Sign in" }).click();
  await expect(heading("Home")).toBeVisible();
});

test.afterAll(async () => {
  calm();
  await page.context().close();
});

test("the first plugin is three clicks away", async () => {
  test.setTimeout(START_MS * 2);
  await expect(page.getByRole("heading", { name: "Switch your first plugin on" })).toBeVisible();
  await look("first-steps");
  await page.getByRole("link", { name: "Look through the plugins" }).click();
  await page.getByRole("switch", { name: "Enable Boxed" }).click();
  await expect(page.getByRole("region", { name: "Boxed", exact: true })).toHaveAttribute("data-state", "ready", {
    timeout: START_MS,
  });
  await page.getByRole("link", { name: "Open Boxed" }).click();
  await expect(page.frameLocator("iframe").getByText(`The plugin knows you as ${username}.`)).toBeVisible();
  await look("boxed");
});

test("a page in its frame cannot call Nimbus", async () => {
  // A page of its own, because what the policy refuses is in its console, and is a fault on every other.
  const other = await page.context().newPage();
  await other.goto("/plugins/boxed");
  await expect(other.frameLocator("iframe").getByText(`The plugin knows you as ${username}.`)).toBeVisible();
  const frame = other.frames().find((one) => one.url().endsWith("/plugin-frame"));
  const seen = await frame?.evaluate(async () => {
    const attempt = (path: string) =>
      fetch(new URL(path, document.baseURI), { credentials: "include" }).then(
        (answer) => String(answer.status),
        (error: Error) => error.name,
      );
    return [window.origin, await attempt("/api/admin/users"), await attempt("/api/plugins/boxed/whoami")];
  });
  expect(seen).toEqual(["null", "TypeError", "TypeError"]);
  await other.close();
});

test("home shows health, what was done, and widgets of plugins", async () => {
  await page.goto("/plugins");
  await page.getByRole("link", { name: "Home", exact: true }).click();
  await expect(heading("Home")).toBeFocused();
  await expect(page.frameLocator("iframe").getByText("A widget of Boxed 0.1.0.")).toBeVisible();
  await expect(page.getByText("All is well. Nothing needs you.")).toBeVisible();
  await expect(page.getByText("plugin.enable").first()).toBeVisible();
  await look("home");
});

test("settings are checked by Nimbus, kept, and not lost by accident", async () => {
  await page.goto("/manage/plugins/boxed/settings");
  await expect(page.frameLocator("iframe").getByText("A section of its own below the settings.")).toBeVisible();
  await page.getByRole("textbox", { name: "Greeting" }).fill("x");
  await page.getByRole("button", { name: "Save settings" }).click();
  await expect(page.getByRole("alert")).toContainText("Nothing was saved");
  await expect(page.getByRole("textbox", { name: "Greeting" })).toBeFocused();
  await expect(page.getByRole("textbox", { name: "Greeting" })).toHaveAccessibleDescription(/too short/);
  await page.getByRole("textbox", { name: "Greeting" }).fill("Welcome");
  await page.getByLabel("Access token (optional)").fill("only once seen");
  await page.getByRole("button", { name: "Add an entry" }).click();
  await page.getByRole("textbox", { name: "Name", exact: true }).fill("first");
  await look("settings");

  await page.getByRole("link", { name: "Overview" }).click();
  await expect(page.getByRole("dialog", { name: "Leave without saving?" })).toBeVisible();
  await expectAccessible(page);
  await page.getByRole("button", { name: "Stay" }).click();
  await page.getByRole("button", { name: "Save settings" }).click();
  await expect(page.getByText("Saved. The plugin was told.")).toBeVisible();
  await page.reload();
  await expect(page.getByRole("textbox", { name: "Greeting" })).toHaveValue("Welcome");
  await expect(page.getByText("A value is stored. It is never shown.")).toBeVisible();
  expect(await page.content()).not.toContain("only once seen");
  await page.getByRole("link", { name: "Overview" }).click();
  await expect(page).toHaveURL(/\/manage\/plugins\/boxed$/);
});

test("doctor and metrics say how a plugin is", async () => {
  await page.goto("/manage/plugins/boxed/doctor");
  await expect(page.getByText("Calls back to Nimbus")).toBeVisible();
  await look("doctor");
  await page.getByRole("link", { name: "Metrics" }).click();
  await expect(page.getByText("Restarts")).toBeVisible();
  // Its page was looked at before, so something was asked of it; figures are written every ten seconds.
  await expect(page.getByRole("slider", { name: "Requests a minute: moment" })).toBeVisible({ timeout: 40_000 });
  await expect(page.getByRole("slider", { name: "Memory: moment" })).toBeVisible({ timeout: 40_000 });
  await look("metrics");
  await page.getByRole("link", { name: "Events" }).last().click();
  await expect(page.getByRole("heading", { name: "Could not be delivered" })).toBeVisible();
  await expect(page.getByText("It does nothing by the clock.")).toBeVisible();
  await look("plugin-events");
  await page.getByRole("link", { name: "Danger zone" }).click();
  await page.getByRole("button", { name: "Uninstall" }).click();
  await expect(page.getByRole("dialog", { name: "Uninstall Boxed?" })).toContainText("Kept: its volume");
  await page.getByRole("button", { name: "Cancel" }).click();
});

test("the library: add, find, change, tabs of plugins, delete", async () => {
  await page.goto("/library");
  await expect(page.getByRole("heading", { name: "The library is empty" })).toBeVisible();
  await look("library-empty");
  await page.getByRole("button", { name: "Add item" }).click();
  const dialog = page.getByRole("dialog", { name: "Add to the library" });
  await dialog.getByLabel("Title").fill("Metropolis");
  await dialog.getByLabel("Year").fill("1927");
  await dialog.getByLabel("Metadata (JSON)").fill('{"director": "Fritz Lang"');
  await dialog.getByRole("button", { name: "Add item" }).click();
  await expect(dialog.getByText("Write a JSON object")).toBeVisible();
  await expectAccessible(page);
  await page.getByLabel("Metadata (JSON)").fill('{"director": "Fritz Lang"}');
  await dialog.getByRole("button", { name: "Add item" }).click();

  await expect(heading("Metropolis")).toBeVisible();
  await expect(page.frameLocator("iframe").getByText("About Metropolis, 1927.")).toBeVisible();
  await look("library-item");
  await page.getByRole("button", { name: "Edit" }).click();
  await page.getByLabel("Title").fill("Metropolis, restored");
  await page.getByRole("button", { name: "Save" }).click();
  await expect(heading("Metropolis, restored")).toBeVisible();

  for (const [title, year] of [
    ["Nosferatu", 1922],
    ["Stalker", 1979],
  ] as const) {
    const origin = new URL(page.url()).origin;
    const answer = await api().post("/api/media", { data: { kind: "movie", title, year }, headers: { origin } });
    expect(answer.status()).toBe(201);
  }
  await page.goto("/library?q=nosf");
  await expect(page.getByRole("listitem").filter({ hasText: "Nosferatu" })).toBeVisible();
  await expect(page.getByText("1 item")).toBeVisible();
  await page.getByRole("searchbox").fill("");
  await expect(page.getByText("3 items")).toBeVisible();
  await look("library");
  await page.getByRole("link", { name: /Stalker/ }).click();
  await page.getByRole("button", { name: "Delete" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Delete" }).click();
  await expect(page.getByText("2 items")).toBeVisible();
});

test("downloads: progress, order, pause, cancel, retry", async () => {
  await page.goto("/downloads");
  await expect(page.getByRole("heading", { name: "Nothing is being downloaded" })).toBeVisible();
  for (const name of ["half-a", "half-b", "whole", "broken"]) {
    await page.getByLabel("Address").fill(`https://files.test/${name}`);
    await page.getByRole("button", { name: "Download", exact: true }).click();
    await expect(page.getByRole("listitem").filter({ hasText: name })).toBeVisible();
  }
  const item = (name: string) => page.getByRole("listitem").filter({ hasText: name });
  await expect(item("half-a").getByRole("progressbar")).toHaveAttribute("aria-valuenow", "50");
  await expect(item("half-a")).toContainText("512 KiB / 1.0 MiB");
  await expect(item("whole")).toContainText("Completed");
  await expect(item("broken")).toContainText("look whether it is right");
  await look("downloads");
  await page.getByRole("button", { name: "Move up: half-b" }).click();
  await expect(page.getByRole("listitem").filter({ hasText: "half-" }).first()).toContainText("half-b");
  await page.getByRole("button", { name: "Pause: half-a" }).click();
  await expect(item("half-a")).toContainText("Paused");
  await page.getByRole("button", { name: "Resume: half-a" }).click();
  await expect(item("half-a")).toContainText("Running");
  await page.getByRole("button", { name: "Cancel: half-a" }).click();
  await expect(item("half-a")).toContainText("Cancelled");
  await page.getByRole("button", { name: "Take out of the list: half-a" }).click();
  await expect(item("half-a")).toHaveCount(0);
});

test("versions: what is here, and where another comes from", async () => {
  await page.goto("/manage/plugins/boxed/versions");
  await expect(page.getByText("Installed")).toBeVisible();
  await expect(page.getByText("It comes from the plugins folder")).toBeVisible();
  await look("versions");
});

test("users: add, change, disable, delete by name", async () => {
  await page.goto("/access");
  await page.getByRole("button", { name: "Add user" }).click();
  const add = page.getByRole("dialog", { name: "Add a user" });
  await add.getByLabel("User name").fill("guest");
  await add.getByRole("textbox", { name: "First password" }).fill("short");
  await add.getByRole("button", { name: "Add user" }).click();
  await expect(add.getByText("Use at least 8 characters.")).toBeVisible();
  await expectAccessible(page);
  await add.getByRole("textbox", { name: "First password" }).fill("long enough for a guest");
  await add.getByRole("button", { name: "Add user" }).click();
  await expect(page.getByRole("button", { name: "Delete guest" })).toBeVisible();
  await page.getByLabel("Role of guest").selectOption("admin");
  await expect(page.getByLabel("Role of guest")).toHaveValue("admin");
  await page.getByRole("button", { name: "Disable guest" }).click();
  await expect(page.getByRole("button", { name: "Enable guest" })).toBeVisible();
  await look("access");
  await page.getByRole("button", { name: "Delete guest" }).click();
  const confirm = page.getByRole("dialog", { name: "Delete guest" });
  await expect(confirm.getByRole("button", { name: "Delete" })).toBeDisabled();
  await confirm.getByLabel("Type guest to go on").fill("guest");
  await confirm.getByRole("button", { name: "Delete" }).click();
  await expect(page.getByRole("button", { name: "Delete guest" })).toHaveCount(0);
});

test("API keys: made with scopes, shown once, revoked", async ({ playwright, baseURL }) => {
  await page.goto("/access");
  await page.getByRole("button", { name: "New API key" }).click();
  await page.getByLabel("Name", { exact: true }).fill("television");
  await page.getByRole("checkbox", { name: "media:read" }).check();
  await page.getByRole("checkbox", { name: "boxed:export" }).check();
  await expectAccessible(page);
  await picture(page, "console-api-key-new");
  await page.getByRole("button", { name: "Make key" }).click();
  const shown = page.getByRole("dialog", { name: "television is made" });
  const key = (await shown.locator("code").textContent()) ?? "";
  await expectAccessible(page);
  const program = await playwright.request.newContext({
    ...(baseURL && { baseURL }),
    extraHTTPHeaders: { "x-api-key": key },
  });
  expect((await program.get("/api/media")).status()).toBe(200);
  expect((await program.get("/api/plugins/boxed/export")).status()).toBe(200);
  await page.getByRole("button", { name: "I have kept it" }).click();
  await expect(page.getByRole("button", { name: "Revoke television" })).toBeVisible();
  expect(await page.content()).not.toContain(key);
  await look("api-keys");
  await page.getByRole("button", { name: "Revoke television" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Revoke" }).click();
  await expect(page.getByRole("heading", { name: "No API keys" })).toBeVisible();
  await expect.poll(async () => (await program.get("/api/media")).status()).toBe(401);
  await program.dispose();
});

test("audit knows all of it", async () => {
  await page.goto("/audit");
  await expect(page.getByText("api-key.revoke")).toBeVisible();
  await look("audit");
  await page.getByLabel("Action").fill("plugin.config");
  await page.getByRole("button", { name: "Filter", exact: true }).click();
  await expect(page.getByText("api-key.revoke")).toHaveCount(0);
  await expect(page.getByText("plugin.config").first()).toBeVisible();
  await page.getByLabel("Action").fill("no.such.action");
  await page.getByRole("button", { name: "Filter", exact: true }).click();
  await expect(page.getByRole("heading", { name: "Nothing matches" })).toBeVisible();
});

test("system shows what it depends on and how it is set, without secrets", async () => {
  await page.goto("/system");
  await expect(page.getByText("Database")).toBeVisible();
  await expect(page.getByText("NIMBUS_ADMIN_PASSWORD")).toBeVisible();
  await expect(page.getByText("set, hidden").first()).toBeVisible();
  expect(await page.content()).not.toContain(password);
  await look("system");
  await inTheme(page, "light");
  // Not the settings, which name folders of this machine.
  await pictureAbove(
    page,
    "console-system-above",
    page.getByRole("region", { name: "Configuration of the gateway" }),
  );
});

test("installing says why it is refused, and what a plugin may do is decided by a person", async () => {
  await page.goto("/install");
  await page.getByLabel("Image", { exact: true }).fill("example/no-such-image:1.0.0");
  await page.getByRole("button", { name: "Install", exact: true }).click();
  await expect(page.getByRole("alert")).toContainText("It was not installed");
  await look("install-refused");
  await page.getByRole("button", { name: "Manifest" }).click();
  await page.getByLabel("Manifest (JSON)").fill("{");
  await page.getByRole("button", { name: "Install", exact: true }).click();
  await expect(page.getByText("This is not valid JSON.")).toBeVisible();
  await page.getByLabel("Manifest (JSON)").fill('{"manifestVersion": 1, "id": "x"}');
  await page.getByRole("button", { name: "Install", exact: true }).click();
  await expect(page.getByRole("alert").getByRole("listitem").first()).toBeVisible();

  await page.goto("/manage/plugins/boxed");
  const egress = page.getByRole("checkbox", { name: /internet/ });
  await expect(egress).toBeChecked();
  await expect(page.getByText(/risk$/)).toBeVisible();
  await look("permissions");
  await egress.uncheck();
  await page.getByRole("button", { name: "Change permissions" }).click();
  await expect(page.getByText("The permissions are kept.").first()).toBeVisible();
  await page.reload();
  await expect(egress).not.toBeChecked();
});

test("events appear as they happen, and can be replayed", async () => {
  await page.goto("/events");
  await expect(page.getByText(/io\.nimbus\.media\.created\.v1/).first()).toBeVisible();
  const origin = new URL(page.url()).origin;
  await api().post("/api/media", { data: { kind: "movie", title: "Live from here" }, headers: { origin } });
  const stream = page.getByRole("table").last();
  const rows = stream.locator("tbody").getByRole("row");
  await page.getByLabel("Contains").fill("live from");
  await page.getByRole("button", { name: "Filter", exact: true }).click();
  await expect(rows).toHaveCount(1);
  await rows.first().locator("summary").click();
  await expect(rows.first()).toContainText("Added to the library: Live from here");
  await expect(rows.first().locator("pre")).toContainText("Live from here");
  await look("events");
  // What fits the filter comes in by itself, and nothing else.
  await api().post("/api/media", { data: { kind: "movie", title: "Dead air" }, headers: { origin } });
  await api().post("/api/media", { data: { kind: "movie", title: "Live from there" }, headers: { origin } });
  await expect(rows).toHaveCount(2);
  await page.getByRole("button", { name: "Show everything" }).click();
  await expect.poll(() => rows.count()).toBeGreaterThan(2);
  await page.getByLabel("Type").fill("io.nimbus.plugin.");
  await page.getByLabel("From", { exact: true }).selectOption({ label: "Nimbus" });
  await page.getByLabel("When").selectOption({ label: "The last hour" });
  await page.getByRole("button", { name: "Filter", exact: true }).click();
  await expect(page.getByText(/io\.nimbus\.media/)).toHaveCount(0);
  await expect(rows.first()).toContainText("io.nimbus.plugin.");
  await page.getByLabel("From", { exact: true }).selectOption({ label: "Boxed" });
  await page.getByRole("button", { name: "Filter", exact: true }).click();
  await expect(page.getByRole("heading", { name: "Nothing matches" })).toBeVisible();
});

test("a person who is no administrator sees what is theirs", async ({ browser, baseURL }) => {
  const origin = new URL(page.url()).origin;
  const made = await api().post("/api/admin/users", {
    data: { username: "viewer", password: "a password to view", role: "user" },
    headers: { origin },
  });
  expect(made.status()).toBe(201);
  const other = await browser.newPage({ ...(baseURL && { baseURL }) });
  await other.goto("/audit");
  await other.getByLabel("User name").fill("viewer");
  await other.getByRole("textbox", { name: "Password" }).fill("a password to view");
  await other.getByRole("button", { name: "Sign in" }).click();
  await expect(other.getByRole("heading", { level: 1, name: "Home" })).toBeVisible();
  await expect(other.getByRole("link", { name: "Audit" })).toHaveCount(0);
  await expect(other.getByRole("link", { name: "Boxed", exact: true })).toBeVisible();
  await other.close();
});

test("switched off, its page, widget and settings leave", async () => {
  await page.goto("/plugins");
  await page.getByRole("switch", { name: "Enable Boxed" }).click();
  await expect(page.getByRole("region", { name: "Boxed", exact: true })).toHaveAttribute("data-state", "disabled", {
    timeout: 60_000,
  });
  await page.getByRole("link", { name: "Home", exact: true }).click();
  await expect(page.getByRole("heading", { name: "Switch your first plugin on" })).toBeVisible();
  await expect(page.locator("iframe")).toHaveCount(0);
});
