import { expect, type Page, test } from "@playwright/test";
import { heading, START_MS, signedInPage } from "../console/look";
import { glance } from "./glance";
import { Images } from "./images";

/*
 * From an image to a plugin that runs, another version, the way back and the end, against a real engine that pulls
 * from a real container registry.
 */

const registry = process.env.E2E_IMAGE_REGISTRY ?? "";
const images = new Images(registry, process.env.E2E_REPOSITORY ?? "nimbus-e2e/shelf");
let page: Page;

test.describe.configure({ mode: "serial" });
test.setTimeout(START_MS);

test.beforeAll(async ({ browser, baseURL }) => {
  test.setTimeout(START_MS);
  expect(registry, "E2E_IMAGE_REGISTRY names a container registry").not.toBe("");
  await images.start();
  await images.push({ version: "1.0.0", permissions: ["media:read", "media:write"] });
  await images.push({
    version: "1.1.0",
    permissions: ["media:read", "events:publish"],
    changes: ["Says when a book is lent.", "No longer writes into the library."],
  });
  await images.push({
    version: "2.0.0",
    permissions: ["media:read"],
    changes: ["A new way to keep books."],
    broken: true,
  });
  page = await signedInPage(browser, baseURL);
});

test.afterAll(async () => {
  await page?.close();
  await images.stop();
});

interface Shown {
  at: number;
  share: number;
}

/** Every share of a layer that the page shows from now on, with its moment. */
async function watchShares(page: Page): Promise<readonly Shown[]> {
  const shown: Shown[] = [];
  await page.exposeFunction("sawShare", (share: number) => {
    if (share > 0 && share < 100) shown.push({ at: Date.now(), share });
  });
  await page.evaluate(() => {
    const saw = (window as unknown as { sawShare: (share: number) => void }).sawShare;
    const observer = new MutationObserver((changes) => {
      for (const { target } of changes) saw(Number((target as Element).getAttribute("aria-valuenow")));
    });
    observer.observe(document.body, { subtree: true, attributeFilter: ["aria-valuenow"] });
  });
  return shown;
}

/** From a byte that left the registry to the page that shows it; reported, as it depends on the machine. */
function reportLag(shown: readonly Shown[]): void {
  const lags = shown.flatMap(({ at, share }) => {
    const left = images.passed.find(({ bytes }) => (100 * bytes) / images.weight >= share);
    return left ? [at - left.at] : [];
  });
  lags.sort((a, b) => a - b);
  process.stdout.write(
    `    pull progress, registry to page: ${lags[lags.length >> 1]} ms, at most ${lags.at(-1)} ms\n`,
  );
}

/** What the plugin's public route answers. */
const served = async () => {
  const answer = await page.request.get("/api/plugins/shelf/version");
  return answer.ok() ? ((await answer.json()) as { version: string }).version : answer.status();
};

test("an image that is not there is refused in words", async () => {
  await page.goto("/install");
  await page.getByLabel("Image", { exact: true }).fill(images.name("0.0.1"));
  await page.getByRole("button", { name: "Install", exact: true }).click();
  await expect(page.getByRole("alert")).toContainText("It was not installed");
  await expect(page.getByRole("alert")).toContainText("0.0.1");
  await glance(page, "install-refused");
});

test("one that is there is pulled while one watches, and does what a person lets it do", async () => {
  const release = images.hold();
  await page.goto("/install");
  const shown = await watchShares(page);
  await page.getByLabel("Image", { exact: true }).fill(images.name("1.0.0"));
  await page.getByRole("button", { name: "Install", exact: true }).click();
  const job = page.getByRole("listitem").filter({ hasText: images.name("1.0.0") });
  await expect(job).toContainText("Fetching");
  await expect(job.getByText(/[KM]iB \/ 6\.\d MiB/)).toBeVisible();
  // It moves while the layer comes, by steps that a person sees.
  await expect.poll(() => new Set(shown.map(({ share }) => share)).size, { timeout: 60_000 }).toBeGreaterThan(4);
  reportLag(shown);
  await glance(page, "install-pull");
  release();
  await expect(page.getByRole("heading", { name: "What Shelf may do" })).toBeVisible({ timeout: 60_000 });
  await expect(job).toContainText("Installed");
  const write = page.locator("div", { has: page.getByText("media:write", { exact: true }) }).last();
  await write.getByRole("checkbox").uncheck();
  await glance(page, "install-consent");
  await page.getByRole("button", { name: "Grant this" }).click();
  await page.getByRole("link", { name: "Details of Shelf", exact: true }).click();
  await expect(heading(page, "Shelf")).toBeVisible();
  await page.getByRole("switch", { name: "Enable Shelf" }).click();
  await expect.poll(served, { timeout: 60_000 }).toBe("1.0.0");
});

test("another version is looked at first, waits, and is taken", async () => {
  await page.goto("/manage/plugins/shelf/versions");
  await page.getByRole("textbox", { name: "Image" }).fill(images.name("1.1.0"));
  await page.getByRole("button", { name: "Look at it first" }).click();
  const dialog = page.getByRole("dialog", { name: "Shelf 1.1.0" });
  await expect(dialog).toContainText("Says when a book is lent.");
  await expect(dialog.getByRole("checkbox")).toBeChecked();
  await expect(dialog.getByText("events:publish")).toBeVisible();
  await expect(dialog.getByText("media:write")).toBeVisible();
  await glance(page, "upgrade");
  await dialog.getByRole("button", { name: "Not now" }).click();
  expect(await served()).toBe("1.0.0");
  await expect(page.getByText("Waits for you", { exact: true })).toBeVisible();
  await page.getByRole("button", { name: "Decide" }).click();
  await dialog.getByRole("button", { name: "Agree and upgrade" }).click();
  await expect(page.getByText("The new version is taken.").first()).toBeVisible({ timeout: 60_000 });
  await expect.poll(served).toBe("1.1.0");
  await glance(page, "versions");
});

test("a version that does not start is undone, and says why", async () => {
  await page.goto("/manage/plugins/shelf/versions");
  await page.getByRole("textbox", { name: "Image" }).fill(images.name("2.0.0"));
  await page.getByRole("button", { name: "Look at it first" }).click();
  const dialog = page.getByRole("dialog", { name: "Shelf 2.0.0" });
  await expect(dialog).toContainText("A new way to keep books.");
  await dialog.getByRole("button", { name: "Upgrade" }).click();
  await expect(dialog.getByRole("alert")).toBeVisible({ timeout: 90_000 });
  await glance(page, "upgrade-undone");
  await dialog.getByRole("button", { name: "Not now" }).click();
  await expect(page.getByText("Rejected", { exact: true })).toBeVisible();
  expect(await served()).toBe("1.1.0");
});

test("back to the version before", async () => {
  await page.getByRole("button", { name: "Go back to 1.0.0" }).click();
  const dialog = page.getByRole("dialog", { name: "Go back to 1.0.0" });
  await dialog.getByRole("button", { name: "Go back" }).click();
  await expect(page.getByText("Version 1.0.0 is back.").first()).toBeVisible({ timeout: 60_000 });
  await expect.poll(served).toBe("1.0.0");
  await glance(page, "rolled-back");
});

test("taken away with its data, it is gone", async () => {
  await page.goto("/manage/plugins/shelf/danger");
  await page.getByRole("button", { name: "Delete everything" }).click();
  const dialog = page.getByRole("dialog", { name: "Delete Shelf with its data?" });
  await dialog.getByLabel("Type shelf to go on").fill("shelf");
  await dialog.getByRole("button", { name: "Delete everything" }).click();
  await expect(heading(page, "Plugins")).toBeVisible({ timeout: 60_000 });
  await expect(page.getByRole("region", { name: "Shelf", exact: true })).toHaveCount(0);
  expect(await served()).toBe(404);
});
