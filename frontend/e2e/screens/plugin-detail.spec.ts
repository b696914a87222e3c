import type { Page } from "@playwright/test";
import { expectAccessible, expectFits, inTheme, picture, THEMES, watchConsole } from "../support";
import { expect, openSignedIn, test } from "./stand";

/* The tabs of a plugin that need figures and deliveries which only time makes: their answers are made up here. */

const MINUTE = 60_000;
const ago = (minutes: number) => new Date(Math.floor(Date.now() / MINUTE) * MINUTE - minutes * MINUTE).toISOString();

async function answer(page: Page, path: string, body: unknown, status = 200): Promise<void> {
  await page.route(`**${path}*`, (route) => route.fulfill({ status, json: body as object }));
}

const figures = (requests: number) => ({
  requests,
  errors: { client: requests % 3, plugin: requests > 40 ? 4 : 0, gateway: 0 },
  p50: 0.004 + requests / 20_000,
  p95: 0.02 + requests / 4_000,
  p99: 0.11,
  received: requests * 120,
  sent: requests * 4_096,
});

async function withFigures(page: Page): Promise<void> {
  const points = Array.from({ length: 60 }, (_, index) => ({
    at: ago(59 - index),
    ...figures(20 + ((index * 7) % 30)),
  }));
  await answer(page, "/api/admin/plugins/hello/traffic", {
    pluginId: "hello",
    span: "1h",
    step: 60,
    points,
    total: figures(2_111),
  });
  const history = Array.from({ length: 60 }, (_, index) => ({
    at: ago(59 - index),
    cpu: 0.1 + (index % 9) / 30,
    memory: (90 + index) * 1024 ** 2,
    received: 900 + index,
    sent: 30_000 + index * 400,
  }));
  await answer(page, "/api/admin/plugins/hello/metrics", {
    pluginId: "hello",
    state: "ready",
    restarts: 2,
    failures: 0,
    memoryLimit: 256 * 1024 ** 2,
    cpuLimit: 0.5,
    runningSince: ago(90),
    interval: 10,
    current: history.at(-1),
    history,
  });
}

for (const theme of THEMES) {
  test(`metrics as charts, by keyboard and as tables, ${theme}`, async ({ page, nimbus }) => {
    const calm = watchConsole(page);
    nimbus.addHello();
    nimbus.set("hello", "ready", { enabled: true });
    nimbus.set("hello", "starting");
    nimbus.set("hello", "ready");
    await withFigures(page);
    await openSignedIn(page, nimbus, "/manage/plugins/hello/metrics");
    await inTheme(page, theme);
    await expect(page.getByText("2111 requests, 4 failed. 95 of 100 were answered within 548 ms.")).toBeVisible();
    const latency = page.getByRole("slider", { name: "Time to answer: moment" });
    await latency.focus();
    await page.keyboard.press("Home");
    await expect(latency).toHaveAttribute("aria-valuetext", /Half within 5 ms, 95 of 100 within 25 ms/);
    await page.getByRole("figure", { name: "Memory" }).getByText("As a table").click();
    await expect(page.getByRole("figure", { name: "Memory" }).getByRole("row")).toHaveCount(61);
    await expect(page.getByRole("figure", { name: "Starts anew a minute" })).toBeVisible();
    await expectAccessible(page);
    await page.getByRole("figure", { name: "Memory" }).getByText("As a table").click();
    await picture(page, `plugin-metrics-${theme}-desktop`, true);
    await page.setViewportSize({ width: 360, height: 740 });
    await expectFits(page);
    await expectAccessible(page);
    await picture(page, `plugin-metrics-${theme}-phone`, true);
    await page.getByRole("link", { name: "6 hours" }).click();
    await expect(page).toHaveURL(/span=6h/);
    await expect(page.getByRole("link", { name: "6 hours" })).toHaveAttribute("aria-current", "page");
    await expect(page.getByRole("link", { name: "Last hour" })).not.toHaveAttribute("aria-current");
    calm();
  });

  test(`events, dead letters and schedules of a plugin, ${theme}`, async ({ page, nimbus }) => {
    const hello = nimbus.addHello();
    Object.assign(hello.detail.manifest ?? {}, { events: { subscribe: ["io.nimbus.media.*"], publish: [] } });
    const done: string[] = [];
    await answer(page, "/api/admin/events/subscriptions", {
      items: [
        {
          subscriber: "plugin:hello",
          kind: "plugin",
          name: "Hello",
          patterns: ["io.nimbus.media.*"],
          status: "retrying",
          lag: 3,
          lagSeconds: 75.4,
          deadLetters: 1,
          delivered: 120,
          lastError: "It answered 500.",
        },
      ],
    });
    await answer(page, "/api/admin/events/dead-letters", {
      items: [
        {
          id: "7",
          subscriber: "plugin:hello",
          error: "It answered 500.",
          attempts: 8,
          failedAt: ago(20),
          event: { id: "e", type: "io.nimbus.media.created.v1", source: "/core", time: ago(60) },
        },
      ],
      next: null,
    });
    await page.route("**/api/admin/events/dead-letters/7/retry", (route) => {
      done.push("one");
      return route.fulfill({ status: 202, json: { queued: 1 } });
    });
    await page.route("**/api/admin/events/subscriptions/*/retry", (route) => {
      done.push("all");
      return route.fulfill({ status: 202, json: { queued: 1 } });
    });
    const next = ago(-600);
    const run = {
      id: "r",
      pluginId: "hello",
      schedule: "sweep",
      due: ago(5),
      cause: "time",
      state: "failed",
      startedAt: ago(5),
      finishedAt: ago(4),
      error: "The disk is full.",
    };
    await page.route("**/api/admin/plugins/hello/schedules**", (route) => {
      const url = route.request().url();
      if (url.includes("/run") && !url.includes("/runs")) {
        done.push("run");
        return route.fulfill({ status: 202, json: { ...run, state: "running", finishedAt: null } });
      }
      if (url.includes("/runs")) return route.fulfill({ json: { items: [run], next: null } });
      const items = [
        { id: "sweep", cron: "0 3 * * *", timezone: "Europe/Berlin", missed: "once", nextAt: next, last: run },
      ];
      return route.fulfill({ json: { items } });
    });
    await openSignedIn(page, nimbus, "/manage/plugins/hello/events");
    await inTheme(page, theme);
    await expect(page.getByText("3 waiting, the oldest for 75 s; 120 delivered")).toBeVisible();
    await page.getByRole("button", { name: "Deliver io.nimbus.media.created.v1 again" }).click();
    await expect.poll(() => done).toEqual(["one"]);
    await page.getByRole("button", { name: "Try all again" }).click();
    await expect.poll(() => done).toEqual(["one", "all"]);
    await page.getByRole("button", { name: "Run sweep now" }).click();
    await expect.poll(() => done).toEqual(["one", "all", "run"]);
    await expect(page.locator(`time[datetime="${next}"]`)).not.toHaveText("just now");
    await page.getByRole("button", { name: "Runs of sweep" }).click();
    await expect(page.getByRole("list", { name: "Runs of sweep" })).toContainText("The disk is full.");
    await expectAccessible(page);
    await picture(page, `plugin-events-${theme}-desktop`, true);
    await page.setViewportSize({ width: 360, height: 740 });
    await expectFits(page);
    await expectAccessible(page);
    await picture(page, `plugin-events-${theme}-phone`, true);
    await page.getByRole("button", { name: "Replay an hour" }).click();
    await expect(page.getByRole("dialog")).toContainText("delivered again");
    await expectAccessible(page);
  });

  test(`the danger zone says what is lost and wants the name, ${theme}`, async ({ page, nimbus }) => {
    nimbus.addHello();
    const asked: string[] = [];
    await page.route(/\/api\/admin\/plugins\/hello(\?|$)/, (route) => {
      if (route.request().method() !== "DELETE") return route.fallback();
      asked.push(new URL(route.request().url()).search);
      nimbus.remove("hello");
      return route.fulfill({ json: { pluginId: "hello", dataDeleted: true, stillListed: false, generation: 2 } });
    });
    await openSignedIn(page, nimbus, "/manage/plugins/hello/danger");
    await inTheme(page, theme);
    await expect(page.getByText("Its folder is in the plugins folder")).toBeVisible();
    await expectAccessible(page);
    await picture(page, `plugin-danger-${theme}-desktop`, true);
    await page.setViewportSize({ width: 360, height: 740 });
    await expectFits(page);
    await page.getByRole("button", { name: "Delete everything" }).click();
    const dialog = page.getByRole("dialog", { name: "Delete Hello with its data?" });
    await expect(dialog).toContainText("Its settings, with stored secrets");
    await expect(dialog.getByRole("button", { name: "Delete everything" })).toBeDisabled();
    await expectAccessible(page);
    await picture(page, `plugin-delete-${theme}-phone`);
    await dialog.getByLabel("Type hello to go on").fill("hello");
    await dialog.getByRole("button", { name: "Delete everything" }).click();
    await expect(page.getByRole("heading", { level: 1, name: "Plugins" })).toBeVisible();
    expect(asked).toEqual(["?deleteData=true"]);
  });
}

test("metrics that cannot be read say so, and a plugin that nobody asked has none", async ({ page, nimbus }) => {
  nimbus.addHello();
  await answer(
    page,
    "/api/admin/plugins/hello/metrics",
    { type: "/problems/registry-unavailable", title: "x", status: 422, detail: "The registry sleeps." },
    422,
  );
  await answer(page, "/api/admin/plugins/hello/traffic", {
    pluginId: "hello",
    span: "1h",
    step: 60,
    points: [{ at: ago(1), ...figures(0) }],
    total: figures(0),
  });
  await openSignedIn(page, nimbus, "/manage/plugins/hello/metrics");
  await expect(page.getByText("The registry sleeps.")).toBeVisible();
  await expect(page.getByRole("heading", { name: "No requests" })).toBeVisible();
});

test("the log is looked through by Nimbus, and what is found is saved as a file", async ({ page, nimbus }) => {
  const hello = nimbus.addHello();
  hello.log.push(
    { stream: "stdout", text: "INFO reading the library" },
    { stream: "stdout", text: "INFO 1204 films, 38 of them new" },
    { stream: "stdout", text: "WARNING Metropolis has no year" },
    { stream: "stderr", text: "ERROR the disk is full" },
    { stream: "stdout", text: "INFO trying again in 60 s" },
  );
  await openSignedIn(page, nimbus, "/manage/plugins/hello/logs");
  await expect(page.getByRole("log")).toContainText("trying again");
  await picture(page, "plugin-logs-lines");
  await page.getByRole("combobox", { name: "Level" }).selectOption("error");
  await page.getByRole("searchbox", { name: "Filter lines" }).fill("disk");
  await expect
    .poll(() => nimbus.seen.at(-1))
    .toBe("GET /api/admin/plugins/hello/logs?follow=true&tail=1000&level=error&q=disk");
  await expect(page.getByRole("log")).toContainText("the disk is full");
  await page.route("**/logs/download*", (route) =>
    route.fulfill({ body: "found", headers: { "content-disposition": 'attachment; filename="hello.log"' } }),
  );
  const saved = page.waitForEvent("download");
  await page.getByRole("button", { name: "Download" }).click();
  const file = await saved;
  expect(file.suggestedFilename()).toBe("hello.log");
  expect(file.url()).toContain("/logs/download?level=error&q=disk");
});
