import type { Frame, Page } from "@playwright/test";
import { fakePlugin } from "../stand-in/plugins";
import type { StandIn } from "../stand-in/server";
import { expectAccessible, expectFits, inTheme, picture, THEMES, watchConsole } from "../support";
import { expect, openSignedIn, test } from "./stand";

/* Pages of plugins that are not trusted: in a frame of their own, with the bridge as all that they have of Nimbus. */

const ui = {
  isolation: "iframe" as const,
  navItems: [{ label: "Boxed", path: "/", icon: "box" }],
  pages: [
    { path: "/", title: "Boxed", export: "default" },
    { path: "/items/:id", title: "Item", export: "Item" },
  ],
};

const PAGE = `
  import React, { createElement as h, useState } from "react";
  import { Alert, Button, Card, Heading, Link, Page, useApi } from "@nimbus/ui";
  export default function Boxed({ api, user, theme, navigate, plugin }) {
    const [count, setCount] = useState(0);
    const { data } = useApi("status");
    window.api = api;
    return h(Page, { title: plugin.name, lead: "Signed in as " + user.username + ", " + theme },
      h(Card, null, h(Heading, { level: 2 }, "In a frame"), h(Alert, null, data ? data.message : "…"),
        h(Button, { onClick: () => setCount(count + 1) }, "Pressed " + count), " ", h(Link, { to: "/items/7" }, "Item 7")));
  }
  export const Item = ({ params, path }) => h("p", { style: { height: 1500 } }, "item " + params.id + " at " + path);
`;

function boxed(bundle = PAGE, detail: { trusted?: boolean } = {}) {
  return fakePlugin({ id: "boxed", name: "Boxed", enabled: true, state: "ready", ...detail }, { bundle, ui });
}

async function frameOf(page: Page): Promise<Frame> {
  const element = await page.locator("iframe").elementHandle();
  const frame = await element?.contentFrame();
  if (!frame) throw new Error("the page has no frame");
  return frame;
}

async function open(page: Page, nimbus: StandIn, bundle?: string): Promise<Frame> {
  nimbus.add(boxed(bundle));
  await openSignedIn(page, nimbus, "/plugins/boxed");
  await expect(page.locator("iframe")).toBeVisible();
  return frameOf(page);
}

test("a page works in its frame as in the dashboard: React, looks, theme, routes and addresses", async ({
  page,
  nimbus,
}) => {
  const calm = watchConsole(page);
  const frame = await open(page, nimbus);
  await frame.getByRole("button", { name: "Pressed 0" }).click();
  await expect(frame.getByRole("button", { name: "Pressed 1" })).toBeVisible();
  await expect(frame.getByText("Hello, admin!")).toBeVisible();
  for (const theme of THEMES) {
    await inTheme(page, theme);
    await expect(frame.locator("html")).toHaveAttribute("data-theme", theme);
    await expect(frame.getByText(`Signed in as admin, ${theme}`)).toBeVisible();
    // What was pressed stays: a change of the theme renders and does not load anew.
    await expect(frame.getByRole("button", { name: "Pressed 1" })).toBeVisible();
    await expectAccessible(page);
    await picture(page, `plugin-frame-${theme}-desktop`);
  }
  await page.setViewportSize({ width: 360, height: 740 });
  await expectFits(page);
  await picture(page, "plugin-frame-dark-phone");

  await frame.getByRole("link", { name: "Item 7" }).click();
  await expect(page).toHaveURL(/\/plugins\/boxed\/items\/7$/);
  await expect(page.frameLocator("iframe").getByText("item 7 at /items/7")).toBeVisible();
  // As high as its content, so that there is one scroll bar.
  await expect.poll(async () => (await page.locator("iframe").boundingBox())?.height ?? 0).toBeGreaterThan(1_450);
  await page.goBack();
  await expect(page.frameLocator("iframe").getByRole("button", { name: "Pressed 0" })).toBeVisible();
  calm();
});

test("the bridge carries methods, bodies and streams, and ends what is no longer wanted", async ({
  page,
  nimbus,
}) => {
  const frame = await open(page, nimbus);
  const got = await frame.evaluate(async () => {
    const { api } = window as unknown as { api: (path: string, init?: RequestInit) => Promise<Response> };
    const form = new FormData();
    form.set("title", "Nosferatu");
    const json = await (
      await api("echo", { method: "PUT", body: '{"a":1}', headers: { "content-type": "application/json" } })
    ).json();
    const multipart = (await (await api("echo", { method: "POST", body: form })).json()) as {
      type: string;
      text: string;
    };
    const stop = new AbortController();
    const stream = await api("ticks", { signal: stop.signal });
    const reader = (stream.body as ReadableStream<Uint8Array>).getReader();
    let text = "";
    while (!text.includes("tick 3")) text += new TextDecoder().decode((await reader.read()).value);
    stop.abort();
    const refused = await api("ticks", { signal: AbortSignal.abort() }).catch((error: Error) => error.name);
    const missing = await api("status/none");
    return { json, multipart, text, refused, status: missing.status, problem: (await missing.json()) as unknown };
  });
  expect(got.json).toMatchObject({ method: "PUT", type: "application/json", text: '{"a":1}' });
  expect(got.multipart.type).toContain("multipart/form-data");
  expect(got.multipart.text).toContain("Nosferatu");
  expect(got.text).toContain("tick 1\ntick 2\n");
  expect(got.refused).toBe("AbortError");
  expect(got.status).toBe(404);
  await expect.poll(() => nimbus.seen.includes("ticks ended")).toBe(true);
});

test("the frame has an origin of its own and cannot reach Nimbus but by its own routes", async ({ page, nimbus }) => {
  const frame = await open(page, nimbus);
  // What the page and the dashboard ask by themselves is asked by then.
  await expect(frame.getByText("Hello, admin!")).toBeVisible();
  await expect(page.getByRole("complementary").getByText("Live")).toBeVisible();
  const before = nimbus.seen.length;
  const seen = await frame.evaluate(async () => {
    const { api } = window as unknown as { api: (path: string, init?: RequestInit) => Promise<Response> };
    const outcome = (attempt: () => unknown) =>
      Promise.resolve()
        .then(attempt)
        .then(
          () => "done",
          (error: Error) => error.name,
        );
    const here = document.baseURI;
    const paths = [
      "../../admin/users",
      "/../hello/hello",
      "%2e%2e/%2e%2e/admin/plugins",
      "//elsewhere.test/",
      "enable",
      "..\\admin",
      `${new URL(here).origin}/api/admin/users`,
    ];
    return {
      origin: window.origin,
      bridge: await Promise.all(paths.map((path) => outcome(() => api(path, { method: "POST" })))),
      fetched: await outcome(() => fetch(new URL("/api/admin/plugins", here), { credentials: "include" })),
      socket: await outcome(
        () =>
          new Promise((done, failed) => {
            const socket = new XMLHttpRequest();
            socket.onerror = () => failed(new TypeError());
            socket.onload = done;
            socket.open("GET", new URL("/api/auth/me", here));
            socket.send();
          }),
      ),
      storage: await outcome(() => localStorage.getItem("nimbus-theme")),
      cookie: await outcome(() => document.cookie),
      parent: await outcome(() => window.parent.document.title),
      evaluated: await outcome(() => new Function("return 1")()),
      opened: window.open("/") === null,
    };
  });
  expect(seen).toEqual({
    origin: "null",
    bridge: Array(7).fill("TypeError"),
    fetched: "TypeError",
    socket: "TypeError",
    storage: "SecurityError",
    cookie: "SecurityError",
    parent: "SecurityError",
    evaluated: "EvalError",
    opened: true,
  });
  expect(nimbus.seen.slice(before)).toEqual([]);
});

test("whatever is sent over the port, no other place is called and the dashboard stays", async ({ page, nimbus }) => {
  const errors: string[] = [];
  page.on("pageerror", (error) => errors.push(error.message));
  const frame = await open(
    page,
    nimbus,
    `
      const send = MessagePort.prototype.postMessage;
      MessagePort.prototype.postMessage = function (...message) { window.port = this; return send.apply(this, message); };
      export default () => "holds the port";
    `,
  );
  await expect(frame.getByText("holds the port")).toBeVisible();
  const before = nimbus.seen.length;
  await frame.evaluate(() => {
    const { port } = window as unknown as { port: MessagePort };
    const call = { type: "call", method: "POST", headers: [], body: null };
    for (const message of [
      null,
      "x",
      { type: "call" },
      { ...call, id: 1, path: "/../../admin/plugins/hello/restart" },
      { ...call, id: 2, path: ["x"] },
      { ...call, id: 3, path: "enable" },
      { ...call, id: 4, path: "x", headers: "no" },
      { type: "navigate", path: 7 },
      { type: "height", pixels: Number.NaN },
      { type: "height", pixels: 1e9 },
      { type: "pull", id: 99 },
    ])
      port.postMessage(message);
    port.postMessage({ type: "navigate", path: "/../../../manage/plugins/boxed?x=1" });
  });
  // Navigation too stays below the plugin's own address.
  await expect(page).toHaveURL(/\/plugins\/boxed\/manage\/plugins\/boxed\?x=1$/);
  expect(nimbus.seen.slice(before).filter((call) => !/^GET \/(plugin|assets)/.test(call))).toEqual([]);
  expect(errors).toEqual([]);
});

test("a frame that fails, or that leaves, is said in the dashboard's words with a way out", async ({
  page,
  nimbus,
}) => {
  const plugin = boxed("export default function () { return");
  nimbus.add(plugin);
  await openSignedIn(page, nimbus, "/plugins/boxed");
  await expect(page.getByRole("heading", { name: "The page of Boxed could not be loaded" })).toBeVisible();
  plugin.bundle = 'export default () => { throw new Error("its own fault"); };';
  await page.getByRole("button", { name: "Try again" }).click();
  await expect(page.getByRole("heading", { name: "The page of Boxed has stopped" })).toBeVisible();
  plugin.bundle = "export default { apiVersion: 7 }";
  await page.getByRole("button", { name: "Try again" }).click();
  await expect(page.getByText("Its bundle wants the page interface 7; this Nimbus offers 1.")).toBeVisible();
  plugin.bundle = 'location.href = "/plugin-frame?again"; export default () => "gone";';
  await page.getByRole("button", { name: "Try again" }).click();
  await expect(page.getByText("The page tried to leave its frame.")).toBeAttached();
  plugin.bundle = 'export default () => "well";';
  await page.getByRole("button", { name: "Try again" }).click();
  await expect(page.frameLocator("iframe").getByText("well")).toBeVisible();
});

test("an endless loop at import keeps to its frame", async ({ page, nimbus }) => {
  nimbus.add(boxed("while (true); export default () => null;"));
  await openSignedIn(page, nimbus, "/plugins/boxed");
  await expect(page.getByRole("heading", { name: "The page of Boxed could not be loaded" })).toBeVisible({
    timeout: 40_000,
  });
  await page.getByRole("navigation", { name: "Main" }).getByRole("link", { name: "Plugins" }).click();
  await expect(page.getByRole("heading", { level: 1, name: "Plugins" })).toBeVisible();
});

test("an upgrade brings the new bundle without loading the dashboard anew, a disabled plugin's page leaves", async ({
  page,
  nimbus,
}) => {
  const plugin = boxed('export default () => "first";');
  plugin.detail.trusted = false;
  nimbus.add(plugin);
  await openSignedIn(page, nimbus, "/plugins/boxed");
  await expect(page.frameLocator("iframe").getByText("first")).toBeVisible();
  await page.evaluate(() => Object.assign(window, { sameDocument: true }));
  plugin.bundle = 'export default () => "second";';
  plugin.bundleHash = "fedcba";
  plugin.detail.version = "1.1.0";
  nimbus.set("boxed", "ready");
  await expect(page.frameLocator("iframe").getByText("second")).toBeVisible();
  nimbus.set("boxed", "disabled", { enabled: false });
  await expect(page.getByRole("heading", { name: "Boxed is off" })).toBeVisible();
  await expect(page.locator("iframe")).toHaveCount(0);
  expect(await page.evaluate(() => "sameDocument" in window)).toBe(true);
});
