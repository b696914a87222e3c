import { fakePlugin, gallery } from "../stand-in/plugins";
import { watchConsole } from "../support";
import { expect, openSignedIn, test } from "./stand";

test("enable, follow the stages, open the page, disable: nothing is loaded anew", async ({ page, nimbus }) => {
  const calm = watchConsole(page);
  nimbus.pace = null;
  nimbus.addHello();
  await openSignedIn(page, nimbus, "/plugins");
  const card = page.getByRole("region", { name: "Hello" });
  const toggle = card.getByRole("switch", { name: "Enable Hello" });
  await expect(card).toHaveAttribute("data-state", "disabled");
  await expect(card.getByText("Off", { exact: true })).toBeVisible();
  await page.evaluate(() => Object.assign(window, { sameDocument: true }));

  await toggle.focus();
  await page.keyboard.press("Space");
  await expect(toggle).toBeChecked();
  nimbus.set("hello", "building", { progress: "Step 2/5 : COPY . ." });
  await expect(card.getByText("Step 2/5 : COPY . .")).toBeVisible();
  nimbus.set("hello", "starting");
  await expect(card.getByRole("progressbar", { name: "Start of Hello" })).toHaveAttribute("aria-valuenow", "1");
  nimbus.set("hello", "initializing");
  nimbus.set("hello", "ready");
  await expect(card).toHaveAttribute("data-state", "ready");
  await expect(page.getByText("Hello is running.")).toBeAttached();

  await page.getByRole("list", { name: "Plugin Extensions" }).getByRole("link", { name: "Hello" }).click();
  await page.getByRole("button", { name: "Call hello" }).click();
  await expect(page.getByText("Hello, world!")).toBeVisible();
  await page.getByRole("button", { name: "Call status" }).click();
  await expect(page.getByText("The plugin knows you as admin, an administrator.")).toBeVisible();

  nimbus.set("hello", "stopping", { enabled: false });
  nimbus.set("hello", "disabled");
  await expect(page.getByRole("heading", { name: "Hello is off" })).toBeVisible();
  await expect(page.getByRole("list", { name: "Plugin Extensions" })).toHaveCount(0);
  nimbus.pace = 10;
  await page.getByRole("button", { name: "Enable Hello" }).click();
  await expect(page.getByRole("button", { name: "Call hello" })).toBeVisible();
  expect(await page.evaluate(() => "sameDocument" in window)).toBe(true);
  calm();
});

test("a refusal takes the switch back and says why", async ({ page, nimbus }) => {
  nimbus.addHello();
  nimbus.failing.set("/api/plugins/hello/enable", { status: 503, detail: "The registry cannot be reached." });
  await openSignedIn(page, nimbus, "/plugins");
  await page.getByRole("switch", { name: "Enable Hello" }).click();
  await expect(page.getByRole("alert")).toContainText("The registry cannot be reached.");
  await expect(page.getByRole("switch", { name: "Enable Hello" })).not.toBeChecked();
});

test("search and filter find plugins, and say when nothing fits", async ({ page, nimbus }) => {
  nimbus.addHello();
  nimbus.add(...gallery());
  await openSignedIn(page, nimbus, "/plugins");
  const cards = page.locator("[data-plugin]");
  await expect(cards).toHaveCount(6);
  await page.getByRole("searchbox", { name: "Search plugins" }).fill("media subtitles");
  await expect(cards).toHaveCount(1);
  await page.getByRole("searchbox").fill("");
  await page.getByRole("button", { name: /Needs attention/ }).click();
  await expect(cards).toHaveCount(3);
  await page.getByRole("searchbox").fill("captions");
  await expect(page.getByRole("heading", { name: "Nothing matches" })).toBeVisible();
  await page.getByRole("button", { name: "Show all plugins" }).click();
  await expect(cards).toHaveCount(6);
});

test("plugins come and go while one looks", async ({ page, nimbus }) => {
  nimbus.addHello();
  await openSignedIn(page, nimbus, "/plugins");
  await expect(page.locator("[data-plugin]")).toHaveCount(1);
  await expect(page.getByRole("complementary").getByText("Live")).toBeVisible();
  nimbus.add(fakePlugin({ id: "fresh", name: "Fresh" }));
  nimbus.set("fresh", "disabled");
  await expect(page.getByRole("region", { name: "Fresh" })).toBeVisible();
  nimbus.remove("fresh");
  await expect(page.getByRole("region", { name: "Fresh" })).toHaveCount(0);
  await page.getByRole("button", { name: "Rescan" }).click();
  await expect(page.getByText("Scan finished: nothing changed.").first()).toBeVisible();
});

test("a list that cannot be read says so and can be asked for again", async ({ page, nimbus }) => {
  nimbus.failing.set("/api/admin/plugins", { status: 422, detail: "The list is upside down." });
  await openSignedIn(page, nimbus, "/plugins");
  await expect(page.getByText("The list is upside down.")).toBeVisible();
  nimbus.failing.clear();
  await page.getByRole("button", { name: "Try again" }).click();
  await expect(page.getByRole("heading", { name: "No plugins yet" })).toBeVisible();
});

test("Nimbus goes away and comes back: the page says so and catches up", async ({ page, nimbus }) => {
  nimbus.addHello();
  await openSignedIn(page, nimbus, "/plugins");
  await expect(page.getByRole("complementary").getByText("Live")).toBeVisible();
  await nimbus.stop();
  await expect(page.getByText("What you see may be out of date.")).toBeVisible();
  const hello = nimbus.plugins.get("hello");
  if (hello) Object.assign(hello.detail, { state: "ready", enabled: true, since: new Date().toISOString() });
  await nimbus.start();
  await expect(page.getByRole("region", { name: "Hello" })).toHaveAttribute("data-state", "ready");
  await expect(page.getByText("What you see may be out of date.")).toHaveCount(0);
  await expect(page.getByRole("complementary").getByText("Live")).toBeVisible();
});

test("the log is followed, filtered and paused by scrolling", async ({ page, nimbus }) => {
  const hello = nimbus.addHello();
  for (let line = 0; line < 400; line += 1)
    hello.log.push({ stream: line % 2 ? "stdout" : "stderr", text: `line ${line}` });
  await openSignedIn(page, nimbus, "/manage/plugins/hello/logs");
  const log = page.getByRole("log");
  await expect(log.getByText("line 399")).toBeInViewport();
  await page.getByRole("searchbox", { name: "Filter lines" }).fill("line 12");
  await expect(page.getByText("11 of 400 lines")).toBeVisible();
  await page.getByRole("combobox", { name: "Stream" }).selectOption("stdout");
  await expect(page.getByText("5 of 400 lines")).toBeVisible();
  await page.getByRole("searchbox", { name: "Filter lines" }).fill("");
  await log.hover();
  await page.mouse.wheel(0, -2_000);
  await expect(page.getByRole("button", { name: "Follow" })).toHaveAttribute("aria-pressed", "false");
});

test("a navigation moves the focus to the new page's heading and names the tab", async ({ page, nimbus }) => {
  nimbus.addHello();
  await openSignedIn(page, nimbus, "/plugins");
  await page.getByRole("link", { name: "Details of Hello" }).focus();
  await page.keyboard.press("Enter");
  await expect(page.getByRole("heading", { level: 1, name: "Hello" })).toBeFocused();
  await expect(page).toHaveTitle("Hello · Nimbus");
  await page.getByRole("link", { name: "History" }).focus();
  await page.keyboard.press("Enter");
  await expect(page.getByRole("heading", { name: "Nothing has happened yet" })).toBeVisible();
  await expect(page.getByRole("link", { name: "History" })).toBeFocused();
  await page.goBack();
  await page.goBack();
  await expect(page.getByRole("heading", { level: 1, name: "Plugins" })).toBeFocused();
});
