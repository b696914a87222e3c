import { readFileSync } from "node:fs";
import path from "node:path";
import { fakePlugin } from "../stand-in/plugins";
import { watchConsole } from "../support";
import { expect, openSignedIn, test } from "./stand";

const ui = {
  isolation: "module" as const,
  navItems: [{ label: "Probe", path: "/", icon: "no-such-icon" }],
  pages: [
    { path: "/", title: "Probe", export: "default" },
    { path: "/items/:id", title: "Item", export: "Item" },
    { path: "/missing", title: "Missing", export: "Nothing" },
  ],
};

function probe(bundle: string, bundleHash = "0a") {
  return fakePlugin({ id: "probe", name: "Probe", enabled: true, state: "ready" }, { bundle, bundleHash, ui });
}

test("plugins and the dashboard have one React, with every name of it", async ({ page, nimbus }) => {
  const calm = watchConsole(page);
  nimbus.add(
    probe(`
      import React, { createElement, useState, version } from "react";
      import * as everything from "react";
      import { jsx } from "react/jsx-runtime";
      import { jsxDEV } from "react/jsx-dev-runtime";
      import { createPortal } from "react-dom";
      import { createRoot } from "react-dom/client";
      import { Button, usePlugin } from "@nimbus/ui";
      window.probe = { React, version, names: Object.keys(everything), kinds: [jsx, jsxDEV, createPortal, createRoot].map((item) => typeof item) };
      export default function Page({ params, path, basePath }) {
        const [count, setCount] = useState(0);
        const { plugin } = usePlugin();
        return createElement(Button, { onClick: () => setCount(count + 1) }, plugin.id + " " + basePath + " " + count);
      }
      export const Item = ({ params, navigate }) =>
        jsxDEV("button", { onClick: () => navigate("/"), children: "item " + params.id }, undefined, false);
    `),
  );
  await openSignedIn(page, nimbus, "/plugins/probe");
  const button = page.getByRole("button", { name: "probe /plugins/probe 0" });
  // A second React would have no hooks here, and the page would not render at all.
  await button.click();
  await expect(page.getByRole("button", { name: "probe /plugins/probe 1" })).toBeVisible();
  const seen = await page.evaluate(async () => {
    const specifier = "react";
    const shared = (await import(specifier)) as { default: unknown; version: string };
    const { probe } = window as unknown as { probe: { React: unknown; names: string[]; kinds: string[] } };
    return { same: shared.default === probe.React, names: probe.names, kinds: probe.kinds };
  });
  expect(seen.same).toBe(true);
  expect(seen.names).toEqual(expect.arrayContaining(["useState", "Suspense", "use", "Fragment", "default"]));
  expect(seen.kinds).toEqual(["function", "function", "function", "function"]);

  await page.goto(`${nimbus.url}/plugins/probe/items/a%20b`);
  await page.getByRole("button", { name: "item a b" }).click();
  await expect(page).toHaveURL(/\/plugins\/probe$/);
  calm();
});

test("a bundle with a syntax error shows the boundary and blanks nothing; a retry fetches it anew", async ({
  page,
  nimbus,
}) => {
  const plugin = probe("export default function () { return");
  nimbus.add(plugin);
  await openSignedIn(page, nimbus, "/plugins/probe");
  await expect(page.getByRole("heading", { name: "The page of Probe could not be loaded" })).toBeVisible();
  await expect(page.getByRole("navigation", { name: "Main" }).getByRole("link", { name: "Plugins" })).toBeVisible();
  plugin.bundle = 'export default () => "mended";';
  await page.getByRole("button", { name: "Try again" }).click();
  await expect(page.getByText("mended")).toBeVisible();
  const fetched = nimbus.seen.filter((call) => call.includes("/plugin-assets/probe"));
  expect(fetched).toHaveLength(2);
  expect(fetched[1]).toContain("?retry=1");
});

test("a page that throws can be tried again, or its plugin disabled on the spot", async ({ page, nimbus }) => {
  nimbus.add(
    probe(`
      let calls = 0;
      export default () => {
        window.failing ??= true;
        if (window.failing) throw new Error("the plugin's own fault");
        return "well again";
      };
    `),
  );
  await openSignedIn(page, nimbus, "/plugins/probe");
  await expect(page.getByRole("heading", { name: "The page of Probe has stopped" })).toBeVisible();
  await page.evaluate(() => Object.assign(window, { failing: false }));
  await page.getByRole("button", { name: "Try again" }).click();
  await expect(page.getByText("well again")).toBeVisible();
  await page.reload();
  await page.getByRole("button", { name: "Disable Probe" }).click();
  await expect(page.getByRole("heading", { name: "Probe is off" })).toBeVisible();
  await expect(page.getByRole("link", { name: "Probe", exact: true })).toHaveCount(0);
});

test("what does not fit is said in words", async ({ page, nimbus }) => {
  nimbus.add(probe("export default { apiVersion: 7 }"));
  await openSignedIn(page, nimbus, "/plugins/probe");
  await expect(page.getByText("Its bundle wants the page interface 7; this Nimbus offers 1.")).toBeVisible();
  nimbus.add(probe("export default { apiVersion: 1, pages: {} }", "0b"));
  await page.goto(`${nimbus.url}/plugins/probe/missing`);
  await expect(page.getByText("Its bundle exports no component named “Nothing”.")).toBeVisible();
  await page.goto(`${nimbus.url}/plugins/probe/no/such/page`);
  await expect(page.getByRole("heading", { name: "There is no page here" })).toBeVisible();
  await page.goto(`${nimbus.url}/plugins/stranger`);
  await expect(page.getByRole("heading", { name: "There is no such plugin" })).toBeVisible();
});

test("a plugin's api reaches its own prefix only", async ({ page, nimbus }) => {
  nimbus.add(probe("export default ({ api }) => { window.api = api; return 'ready to call'; };"));
  await openSignedIn(page, nimbus, "/plugins/probe");
  await expect(page.getByText("ready to call")).toBeVisible();
  const outcomes = await page.evaluate(async () => {
    const { api } = window as unknown as { api: (path: string) => Promise<Response> };
    const paths = [
      "../hello/enable",
      "/../../admin/users",
      "%2e%2e/x",
      "//elsewhere.test/",
      "enable",
      "..\\x",
      "hello?q=1",
    ];
    const answers: string[] = [];
    for (const path of paths) {
      answers.push(
        await api(path).then(
          (answer) => String(answer.status),
          (error: Error) => error.name,
        ),
      );
    }
    return answers;
  });
  expect(outcomes).toEqual([...Array(6).fill("TypeError"), "200"]);
  expect(nimbus.seen.at(-1)).toBe("GET /api/plugins/probe/hello?q=1");
});

test("a plugin with a React of its own, and one that throws, harm nobody", async ({ page, nimbus }) => {
  const react = readFileSync(path.resolve("node_modules/react/cjs/react.production.js"), "utf8");
  const own = `const exports = {};\n${react}\nconst React = exports;`;
  nimbus.addHello();
  nimbus.set("hello", "ready", { enabled: true });
  const other = (id: string, bundle: string) =>
    fakePlugin(
      { id, name: id, enabled: true, state: "ready" },
      {
        bundle,
        bundleHash: `hash-${id}`,
        ui: {
          isolation: "module",
          navItems: [{ label: id, path: "/", icon: "box" }],
          pages: [{ path: "/", title: id, export: "default" }],
          slots: [{ target: "home/widget/v1", export: "Widget" }],
        },
      },
    );
  nimbus.add(
    other(
      "own-react",
      `${own}
      export default () => { const [count] = React.useState(0); return React.createElement("p", null, count); };
      export const Widget = () => React.createElement("p", null, "drawn without hooks");`,
    ),
    other(
      "thrower",
      'export default () => "fine here"; export const Widget = () => { throw new Error("at home"); };',
    ),
    other(
      "dropper",
      'setTimeout(() => { throw new Error("later"); }); export const Widget = () => "beside the others";',
    ),
  );
  // A state of a React that draws nothing is an error of that page alone.
  await openSignedIn(page, nimbus, "/plugins/own-react");
  await expect(page.getByRole("heading", { name: "The page of own-react has stopped" })).toBeVisible();

  await page.getByRole("link", { name: "Home", exact: true }).click();
  await expect(page.getByText("drawn without hooks")).toBeVisible();
  await expect(page.getByText("beside the others")).toBeVisible();
  await expect(page.getByText("The page of thrower has stopped")).toBeVisible();
  await expect(page.getByRole("heading", { level: 1, name: "Home" })).toBeVisible();

  await page.getByRole("link", { name: "thrower", exact: true }).click();
  await expect(page.getByText("fine here", { exact: true })).toBeVisible();
  await page.getByRole("link", { name: "Hello", exact: true }).click();
  await page.getByRole("button", { name: "Call hello" }).click();
  await expect(page.getByText("Hello, world!")).toBeVisible();
});
