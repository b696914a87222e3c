import { gallery } from "../stand-in/plugins";
import { expectAccessible, expectFits, inTheme, picture, THEMES, watchConsole } from "../support";
import { expect, openSignedIn, test } from "./stand";

/* Every screen in both themes, on a desktop and on a small phone: looked at by axe, measured, and kept as a picture. */

const SIZES = { desktop: { width: 1280, height: 800 }, phone: { width: 360, height: 740 } } as const;

for (const theme of THEMES) {
  for (const [size, viewport] of Object.entries(SIZES)) {
    test.describe(`${theme}, ${size}`, () => {
      test.use({ viewport });

      test("sign in and set up", async ({ page, nimbus }) => {
        const calm = watchConsole(page);
        await page.goto(`${nimbus.url}/`);
        await inTheme(page, theme);
        await expect(page.getByRole("heading", { name: "Sign in" })).toBeVisible();
        await expectAccessible(page);
        await expectFits(page);
        await picture(page, `sign-in-${theme}-${size}`);
        nimbus.system.setupNeeded = true;
        await page.goto(`${nimbus.url}/`);
        await expect(page.getByRole("heading", { name: "Set up Nimbus" })).toBeVisible();
        await expectAccessible(page);
        await expectFits(page);
        await picture(page, `set-up-${theme}-${size}`);
        calm();
      });

      test("plugins and a plugin", async ({ page, nimbus }) => {
        const calm = watchConsole(page);
        nimbus.addHello();
        nimbus.add(...gallery());
        nimbus.system.notices.push({
          level: "info",
          message: "Plugins run as processes beside Nimbus, which isolates less than containers.",
        });
        await openSignedIn(page, nimbus, "/plugins");
        await inTheme(page, theme);
        await expect(page.getByRole("region", { name: "Captions" })).toBeVisible();
        await expectAccessible(page);
        await expectFits(page);
        await picture(page, `plugins-${theme}-${size}`, true);

        await page.goto(`${nimbus.url}/manage/plugins/transcoder`);
        await expect(page.getByRole("heading", { level: 1, name: "Transcoder" })).toBeVisible();
        await expect(page.getByText("no encoder found")).toBeVisible();
        await expectAccessible(page);
        await expectFits(page);
        await picture(page, `plugin-failed-${theme}-${size}`, true);

        for (const state of ["building", "starting", "initializing", "ready"] as const) nimbus.set("hello", state);
        await page.goto(`${nimbus.url}/manage/plugins/hello`);
        await expect(page.getByText("Answered under /api/plugins/hello")).toBeVisible();
        await expectAccessible(page);
        await expectFits(page);
        await picture(page, `plugin-overview-${theme}-${size}`, true);

        await page.getByRole("link", { name: "History" }).click();
        await expect(page.getByText("newest first")).toBeVisible();
        await expectAccessible(page);
        await expectFits(page);
        await picture(page, `plugin-history-${theme}-${size}`, true);

        await page.getByRole("link", { name: "Logs" }).click();
        await expect(page.getByRole("log")).toContainText("now ready");
        await expectAccessible(page);
        await expectFits(page);
        await picture(page, `plugin-logs-${theme}-${size}`);

        await page.goto(`${nimbus.url}/plugins/hello`);
        await page.getByRole("button", { name: "Call hello" }).click();
        await page.getByRole("button", { name: "Call status" }).click();
        await expect(page.getByText("Hello, admin!")).toBeVisible();
        await expectAccessible(page);
        await expectFits(page);
        await picture(page, `plugin-page-${theme}-${size}`);
        calm();
      });

      test("one's own account, and a page that is kept in a frame", async ({ page, nimbus }) => {
        const calm = watchConsole(page);
        await openSignedIn(page, nimbus, "/account");
        await inTheme(page, theme);
        await page.getByRole("textbox", { name: "New password", exact: true }).fill("short");
        await page.getByRole("button", { name: "Change password" }).click();
        await expect(page.getByLabel("Present password")).toBeFocused(); // the browser's own check: it is required
        await page.getByLabel("Present password").fill("a guess");
        await page.getByRole("textbox", { name: "Repeat the new password" }).fill("different");
        await page.getByRole("button", { name: "Change password" }).click();
        await expect(page.getByText("The two passwords differ.")).toBeVisible();
        await expectAccessible(page);
        await expectFits(page);
        await picture(page, `account-${theme}-${size}`, true);
        await page.getByLabel("Present password").fill("correct horse");
        await page.getByRole("textbox", { name: "New password", exact: true }).fill("correct battery");
        await page.getByRole("textbox", { name: "Repeat the new password" }).fill("correct battery");
        await page.keyboard.press("Enter");
        await expect(page.getByText("Your password is changed")).toBeVisible();
        await expectAccessible(page);
        await expectFits(page);
        await picture(page, `account-changed-${theme}-${size}`, true);

        const hello = nimbus.addHello();
        Object.assign(hello.detail, { trusted: false, enabled: true, state: "ready" });
        await page.goto(`${nimbus.url}/plugins/hello`);
        await expect(page.frameLocator("iframe").getByRole("button", { name: "Call hello" })).toBeVisible();
        await expectAccessible(page);
        await expectFits(page);
        await picture(page, `plugin-not-trusted-${theme}-${size}`);
        calm();
      });

      test("nothing there, off, broken, unknown", async ({ page, nimbus }) => {
        await openSignedIn(page, nimbus, "/plugins");
        await inTheme(page, theme);
        await expect(page.getByRole("heading", { name: "No plugins yet" })).toBeVisible();
        await expectAccessible(page);
        await picture(page, `plugins-empty-${theme}-${size}`);

        nimbus.addHello("export default function () { return");
        await page.goto(`${nimbus.url}/plugins/hello`);
        await expect(page.getByRole("heading", { name: "Hello is off" })).toBeVisible();
        await expectAccessible(page);
        await picture(page, `plugin-off-${theme}-${size}`);

        nimbus.set("hello", "starting", { enabled: true });
        await expect(page.getByRole("heading", { name: "Hello is on its way" })).toBeVisible();
        await expectAccessible(page);
        await picture(page, `plugin-starting-${theme}-${size}`);

        nimbus.set("hello", "ready");
        await expect(page.getByRole("heading", { name: /could not be loaded/ })).toBeVisible();
        await expectAccessible(page);
        await picture(page, `plugin-page-broken-${theme}-${size}`);

        await page.goto(`${nimbus.url}/nowhere`);
        await expect(page.getByRole("heading", { name: "Page not found" })).toBeVisible();
        await expectAccessible(page);
        await picture(page, `not-found-${theme}-${size}`);
      });
    });
  }
}

test.describe("the drawer on a phone", () => {
  test.use({ viewport: SIZES.phone });

  test("has the menu of one's account in reach", async ({ page, nimbus }) => {
    await openSignedIn(page, nimbus, "/plugins");
    await page.getByRole("button", { name: "Open menu" }).click();
    const drawer = page.getByRole("dialog", { name: "Main" });
    await drawer.getByRole("button", { name: "Account of admin" }).click();
    await page.getByRole("menuitem", { name: "Account and password" }).click();
    await expect(drawer).toBeHidden();
    await expect(page.getByRole("heading", { level: 1, name: "Your account" })).toBeFocused();
  });

  test("opens, holds the focus, closes and follows a link", async ({ page, nimbus }) => {
    nimbus.addHello();
    nimbus.set("hello", "ready", { enabled: true });
    await openSignedIn(page, nimbus, "/plugins");
    await page.getByRole("button", { name: "Open menu" }).click();
    const drawer = page.getByRole("dialog", { name: "Main" });
    await expect(drawer.getByRole("link", { name: "Hello" })).toBeVisible();
    await expectAccessible(page);
    await picture(page, "drawer-phone");
    await page.keyboard.press("Escape");
    await expect(drawer).toBeHidden();
    await page.getByRole("button", { name: "Open menu" }).click();
    await drawer.getByRole("link", { name: "Hello" }).click();
    await expect(drawer).toBeHidden();
    await expect(page.getByRole("heading", { level: 1, name: "Hello" })).toBeVisible();
  });
});
