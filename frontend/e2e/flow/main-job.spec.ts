import { type APIRequestContext, expect, type Page, test } from "@playwright/test";
import { expectAccessible, expectFits, inTheme, picture, THEMES, watchConsole } from "../support";

/*
 * The main job against a real Nimbus: sign in, enable hello, use its routes and its page, disable it. The same for
 * embedded and compose; nothing is restarted in between.
 */

const username = process.env.E2E_USERNAME ?? "admin";
const password = process.env.E2E_PASSWORD ?? "";
const target = process.env.E2E_TARGET ?? "local";
const START_MS = 150_000;

async function signIn(page: Page): Promise<void> {
  await page.getByLabel("User name").fill(username);
  await page.getByRole("textbox", { name: "Password" }).fill(password);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByRole("navigation", { name: "Main" }).getByRole("link", { name: "Plugins" }).click();
  await expect(page.getByRole("heading", { level: 1, name: "Plugins" })).toBeVisible();
}

const card = (page: Page) => page.getByRole("region", { name: "Hello", exact: true });
const toggle = (page: Page) => card(page).getByRole("switch", { name: "Enable Hello" });

/** The status and the problem's type or message of an anonymous call. */
async function anonymous(request: APIRequestContext, path: string): Promise<[number, string]> {
  const answer = await request.get(path);
  const body = (await answer.json()) as { type?: string; message?: string };
  return [answer.status(), body.type ?? body.message ?? ""];
}

test.describe.configure({ mode: "serial" });

test("enable hello, use it, disable it", async ({ page, playwright, baseURL }) => {
  test.setTimeout(START_MS * 2);
  expect(password, "E2E_PASSWORD holds the administrator's password").not.toBe("");
  const calm = watchConsole(page);
  const nobody = await playwright.request.newContext({ ...(baseURL && { baseURL }) });

  await page.goto("/");
  await expect(page).toHaveURL(/\/sign-in/);
  for (const theme of THEMES) {
    await inTheme(page, theme);
    await expectAccessible(page);
  }
  await signIn(page);

  await test.step("it is discovered and off", async () => {
    await expect(card(page)).toBeVisible();
    if (await toggle(page).isChecked()) await toggle(page).click();
    await expect(card(page)).toHaveAttribute("data-state", "disabled");
    await expect(toggle(page)).not.toBeChecked();
    expect(await anonymous(nobody, "/api/plugins/hello/hello")).toEqual([404, "/problems/plugin-disabled"]);
    for (const theme of THEMES) {
      await inTheme(page, theme);
      await expectAccessible(page);
      await picture(page, `${target}-plugins-${theme}`);
    }
  });

  await test.step("its state moves live to ready", async () => {
    const states: string[] = [];
    await page.exposeFunction("sawState", (state: string) => states.push(state));
    await card(page).evaluate((element) => {
      const report = (window as unknown as { sawState: (state: string) => void }).sawState;
      new MutationObserver(() => report(element.getAttribute("data-state") ?? "")).observe(element, {
        attributeFilter: ["data-state"],
      });
    });
    await page.evaluate(() => Object.assign(window, { sameDocument: true }));
    await toggle(page).click();
    await expect(toggle(page)).toBeChecked();
    await expect(card(page)).toHaveAttribute("data-state", "ready", { timeout: START_MS });
    expect(states.at(-1)).toBe("ready");
    expect(states.length, `seen: ${states.join(", ")}`).toBeGreaterThan(1);
  });

  await test.step("its routes answer by their rules", async () => {
    expect(await anonymous(nobody, "/api/plugins/hello/hello")).toEqual([200, "Hello, world!"]);
    expect(await anonymous(nobody, "/api/plugins/hello/status")).toEqual([401, "/problems/unauthenticated"]);
    const status = (await (await page.request.get("/api/plugins/hello/status")).json()) as { user: string };
    expect(status.user).toBe(username);
  });

  await test.step("its page is in the sidebar, loads and calls both routes", async () => {
    const entry = page.getByRole("list", { name: "Plugin Extensions" }).getByRole("link", { name: "Hello" });
    await entry.click();
    await expect(page).toHaveURL(/\/plugins\/hello\/?$/);
    await page.getByRole("button", { name: "Call hello" }).click();
    await expect(page.getByText("Hello, world!")).toBeVisible();
    await page.getByRole("button", { name: "Call status" }).click();
    await expect(page.getByText(`The plugin knows you as ${username}, an administrator.`)).toBeVisible();
    for (const theme of THEMES) {
      await inTheme(page, theme);
      await expectAccessible(page);
      await picture(page, `${target}-hello-${theme}`);
    }
    expect(await page.evaluate(() => "sameDocument" in window), "nothing was loaded anew").toBe(true);
  });

  await test.step("a deep link works, and there is one React", async () => {
    await page.goto("/plugins/hello");
    await expect(page.getByRole("button", { name: "Call hello" })).toBeVisible();
    const one = await page.evaluate(async () => {
      const map = document.querySelector('script[type="importmap"]')?.textContent ?? "{}";
      const { imports } = JSON.parse(map) as { imports: Record<string, string> };
      const [bySpecifier, byUrl] = await Promise.all([import(["react"].join()), import(imports.react ?? "")]);
      return bySpecifier === byUrl && typeof bySpecifier.useState === "function";
    });
    expect(one).toBe(true);
  });

  await test.step("its own page shows history and log", async () => {
    await page.goto("/manage/plugins/hello");
    await expect(page.getByText("Answered under /api/plugins/hello")).toBeVisible();
    await expectAccessible(page);
    await picture(page, `${target}-plugin`, true);
    await page.getByRole("link", { name: "History" }).click();
    await expect(page.getByText("Running").first()).toBeVisible();
    await expectAccessible(page);
    await page.getByRole("link", { name: "Logs" }).click();
    await expect(page.getByRole("log")).toBeVisible();
    await expect(page.getByText(/^[1-9]\d* lines$/)).toBeVisible();
    await expectAccessible(page);
  });

  await test.step("it fits a phone", async () => {
    await page.setViewportSize({ width: 360, height: 740 });
    await page.goto("/plugins");
    await expect(card(page)).toBeVisible();
    await expectFits(page);
    await picture(page, `${target}-plugins-phone`);
    await page.setViewportSize({ width: 1280, height: 800 });
  });

  await test.step("disabled, it is gone", async () => {
    await page.evaluate(() => Object.assign(window, { sameDocument: true }));
    await toggle(page).click();
    await expect(card(page)).toHaveAttribute("data-state", "disabled", { timeout: 60_000 });
    await expect(page.getByRole("list", { name: "Plugin Extensions" })).toHaveCount(0);
    for (const route of ["hello", "status"]) {
      expect(await anonymous(nobody, `/api/plugins/hello/${route}`)).toEqual([404, "/problems/plugin-disabled"]);
    }
    expect(await page.evaluate(() => "sameDocument" in window), "nothing was loaded anew").toBe(true);
  });
  await nobody.dispose();
  calm();
});

test("a bundle that is not JavaScript shows the boundary and blanks nothing", async ({ page }) => {
  test.setTimeout(START_MS * 2);
  await page.goto("/");
  await signIn(page);
  await toggle(page).click();
  await expect(card(page)).toHaveAttribute("data-state", "ready", { timeout: START_MS });
  // The gateway checks that a bundle's bytes are what the plugin announced; what they say is found out here.
  await page.route("**/plugin-assets/hello/**", (route) =>
    route.fulfill({ contentType: "text/javascript", body: "export default function () { return" }),
  );
  await page.goto("/plugins/hello");
  await expect(page.getByRole("heading", { name: "The page of Hello could not be loaded" })).toBeVisible();
  await expect(page.getByRole("link", { name: "Plugins", exact: true })).toBeVisible();
  await expectAccessible(page);
  await picture(page, `${target}-hello-broken`);
  await page.unroute("**/plugin-assets/hello/**");
  await page.getByRole("button", { name: "Try again" }).click();
  await expect(page.getByRole("button", { name: "Call hello" })).toBeVisible();
  await page.goto("/plugins");
  await toggle(page).click();
  await expect(card(page)).toHaveAttribute("data-state", "disabled", { timeout: 60_000 });
});

test("a wrong password is refused in words; signing out ends the session", async ({ page }) => {
  await page.goto("/manage/plugins/hello");
  await page.getByLabel("User name").fill(username);
  await page.getByRole("textbox", { name: "Password" }).fill("not the password");
  await page.getByRole("button", { name: "Sign in" }).click();
  await expect(page.getByRole("alert")).toHaveText("The user name or the password is wrong.");
  await page.getByRole("textbox", { name: "Password" }).fill(password);
  await page.getByRole("button", { name: "Sign in" }).click();
  await expect(page).toHaveURL(/\/manage\/plugins\/hello$/);
  await page.getByRole("button", { name: `Account of ${username}` }).click();
  await page.getByRole("menuitem", { name: "Sign out" }).click();
  await expect(page.getByRole("heading", { name: "Sign in" })).toBeVisible();
  expect((await page.request.get("/api/auth/me")).status()).toBe(401);
});
