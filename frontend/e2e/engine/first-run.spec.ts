import { expect, test } from "@playwright/test";
import { heading, password, START_MS, username } from "../console/look";
import { glance } from "./glance";

/*
 * A Nimbus that nobody has set up: the code of the gateway's log, an administrator, and a plugin that runs.
 */

const code = process.env.E2E_SETUP_CODE ?? "";

test.describe.configure({ mode: "serial" });

test("set up with the code of the log, and switch the first plugin on in three clicks", async ({ page }) => {
  test.setTimeout(START_MS + 60_000);
  expect(code, "E2E_SETUP_CODE holds the code that the gateway printed").not.toBe("");
  await page.goto("/");
  await expect(heading(page, "Set up Nimbus")).toBeVisible();
  await page.getByLabel("Set-up code").fill("not-the-code");
  await page.getByLabel("User name").fill(username);
  await page.getByRole("textbox", { name: "Password", exact: true }).fill(password);
  await page.getByLabel("Repeat the password").fill(password);
  await page.getByRole("button", { name: "Create administrator" }).click();
  await expect(page.getByRole("alert")).toContainText("This is not the set-up code.");
  await glance(page, "set-up");

  await page.getByLabel("Set-up code").fill(code);
  await page.getByRole("button", { name: "Create administrator" }).click(); // one
  await expect(page.getByRole("heading", { name: "Switch your first plugin on" })).toBeVisible();
  await glance(page, "first-home");
  await page.getByRole("link", { name: "Look through the plugins" }).click(); // two
  const card = page.getByRole("region", { name: "Hello", exact: true });
  const states: string[] = [];
  await page.exposeFunction("sawState", (state: string) => states.push(state));
  await card.evaluate((element) => {
    const report = (window as unknown as { sawState: (state: string) => void }).sawState;
    new MutationObserver(() => report(element.getAttribute("data-state") ?? "")).observe(element, {
      attributeFilter: ["data-state"],
    });
  });
  await card.getByRole("switch", { name: "Enable Hello" }).click(); // three
  await expect(card).toHaveAttribute("data-state", "ready", { timeout: START_MS });
  // Its image is this run's own and was not there: it was built, and one could watch.
  expect(states).toContain("building");
  await expect(page.getByRole("link", { name: "Hello", exact: true }).first()).toBeVisible();
  expect((await page.request.get("/api/plugins/hello/hello")).status()).toBe(200);
  await card.getByRole("switch", { name: "Enable Hello" }).click();
  await expect(card).toHaveAttribute("data-state", "disabled", { timeout: 60_000 });
});

test("the code is good once", async ({ page, baseURL }) => {
  const again = await page.request.post("/api/setup", {
    data: { code, username: "second", password: "a second administrator" },
    headers: { origin: new URL(baseURL ?? "").origin },
  });
  expect(again.status()).toBe(410);
});
