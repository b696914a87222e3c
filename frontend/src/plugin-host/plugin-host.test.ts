import { describe, expect, it, vi } from "vitest";
import type { UiManifest } from "@/api/plugins";
import { BundleContractError, BundleLoadError, pickComponent } from "./bundle";
import { BundleLoader } from "./loader";
import { matchPage } from "./match";
import { firstPage, navGroups } from "./navigation";
import { scopedApi, scopedUrl } from "./scoped-api";

const Page = () => null;
const Tab = () => null;
const ORIGIN = "http://nimbus.test";

describe("a plugin's api", () => {
  it.each([
    ["hello", "/api/plugins/hello/hello"],
    ["/hello", "/api/plugins/hello/hello"],
    ["a/b?q=../x#part", "/api/plugins/hello/a/b?q=../x"],
    ["", "/api/plugins/hello/"],
    ["a/../b", "/api/plugins/hello/b"],
    ["caf%C3%A9", "/api/plugins/hello/caf%C3%A9"],
    ["enable/more", "/api/plugins/hello/enable/more"],
  ])("reaches %j", (path, url) => {
    expect(scopedUrl("hello", path, ORIGIN)).toBe(url);
  });

  it.each([
    "..",
    "../other/hello",
    "a/../../other",
    "/../../admin/users",
    "%2e%2e/other",
    "a%2Fb",
    "a%5cb",
    "%252e%252e/x",
    "..\\other",
    "//elsewhere.test/x",
    "http://elsewhere.test/",
    "javascript:alert(1)",
    "enable",
    "/disable?wait=1",
    "ui-manifest",
    "%65nable",
    "/%64%69sable",
    "ui%2Dmanifest?x=1",
    "enable/",
    "%ff",
  ])("refuses %j", (path) => {
    expect(() => scopedUrl("hello", path, ORIGIN)).toThrow(TypeError);
  });

  it("keeps calls on this origin, whatever the plugin asks for", async () => {
    const fetched = vi.fn(async (_url: string, _init?: RequestInit) => new Response());
    vi.stubGlobal("fetch", fetched);
    await scopedApi("hello", ORIGIN)("x", { method: "POST", mode: "no-cors", credentials: "include" });
    expect(fetched).toHaveBeenCalledWith("/api/plugins/hello/x", {
      method: "POST",
      mode: "same-origin",
      credentials: "same-origin",
    });
    vi.unstubAllGlobals();
  });
});

describe("pages", () => {
  const pages = [{ path: "/" }, { path: "/items/:id" }, { path: "/items/new" }, { path: "/:kind/:id" }];

  it.each([
    ["/", "/", {}],
    ["", "/", {}],
    ["/items/new", "/items/new", {}],
    ["/items/7/", "/items/:id", { id: "7" }],
    ["/items/a%20b", "/items/:id", { id: "a b" }],
    ["/shows/7", "/:kind/:id", { kind: "shows", id: "7" }],
  ])("%j is %j", (path, page, params) => {
    expect(matchPage(pages, path)).toEqual({ page: { path: page }, params });
  });

  it.each(["/nowhere", "/items/1/2", "/items/%zz"])("%j is no page", (path) => {
    expect(matchPage(pages, path)).toBeNull();
  });
});

describe("a bundle's exports", () => {
  const page = { kind: "pages", exportName: "default", at: "/" } as const;

  it("gives a default export that is a component", () => {
    expect(pickComponent({ default: Page }, page)).toBe(Page);
  });

  it("gives a named export", () => {
    expect(pickComponent({ default: Page, Tab }, { ...page, exportName: "Tab" })).toBe(Tab);
  });

  it.each([{ default: Page }, { "/": Page }])("gives what a definition lists: %o", (pages) => {
    expect(pickComponent({ default: { apiVersion: 1, pages } }, page)).toBe(Page);
  });

  it("keeps pages and slots apart", () => {
    const module = { default: { apiVersion: 1, slots: { Tab } } };
    expect(pickComponent(module, { kind: "slots", exportName: "Tab", at: "media-detail/tab/v1" })).toBe(Tab);
    expect(() => pickComponent(module, { ...page, exportName: "Tab" })).toThrow(BundleContractError);
  });

  it.each([
    [{}, /exports no component named “default”/],
    [{ default: "text" }, /exports no component/],
    [{ default: { apiVersion: 2 } }, /wants the page interface 2/],
    [{ default: { apiVersion: 1, pages: { toString: 1 } } }, /exports no component/],
  ])("says what is wrong with %o", (module, message) => {
    expect(() => pickComponent(module, page)).toThrow(message);
  });
});

describe("loading bundles", () => {
  it("loads each once and gives the same promise", async () => {
    const load = vi.fn(async () => ({ default: 1 }));
    const loader = new BundleLoader(load);
    expect(loader.load("/a.js")).toBe(loader.load("/a.js"));
    await loader.load("/a.js");
    expect(load).toHaveBeenCalledExactlyOnceWith("/a.js");
  });

  it("asks for a changed address after a failure, which browsers remember", async () => {
    const load = vi.fn(async (url: string) => {
      if (!url.includes("retry=2")) throw new SyntaxError("unexpected end");
      return { default: 1 };
    });
    const loader = new BundleLoader(load);
    await expect(loader.load("/a.js")).rejects.toThrow(BundleLoadError);
    loader.retry("/a.js");
    await expect(loader.load("/a.js")).rejects.toThrow("unexpected end");
    loader.retry("/a.js");
    await expect(loader.load("/a.js")).resolves.toEqual({ default: 1 });
    expect(load.mock.calls.flat()).toEqual(["/a.js", "/a.js?retry=1", "/a.js?retry=2"]);
  });

  it("forgets the bundles of plugins that are gone", async () => {
    const load = vi.fn(async () => ({}));
    const loader = new BundleLoader(load);
    await Promise.all([loader.load("/a.js"), loader.load("/b.js")]);
    loader.keepOnly(new Set(["/b.js"]));
    await Promise.all([loader.load("/a.js"), loader.load("/b.js")]);
    expect(load.mock.calls.flat()).toEqual(["/a.js", "/b.js", "/a.js"]);
  });
});

describe("the sidebar", () => {
  const manifest = (pluginId: string, navItems: UiManifest["navItems"]): UiManifest => ({
    pluginId,
    name: pluginId,
    version: "1.0.0",
    isolation: "module",
    sandboxReasons: [],
    bundleUrl: "/x",
    navItems,
    pages: [],
    slots: [],
  });
  const manifests = [
    manifest("zeta", [
      { label: "Zeta", path: "/", group: "Media" },
      { label: "Keys", path: "/keys", group: "Media", role: "admin", order: -1 },
    ]),
    manifest("alpha", [{ label: "Alpha", group: "Media" }]),
    manifest("plain", [{ label: "Plain" }]),
  ];

  it("groups entries, those without a group first, by order and label", () => {
    const shape = navGroups(manifests, "admin").map(({ name, items }) => [name, items.map(({ label }) => label)]);
    expect(shape).toEqual([
      [null, ["Plain"]],
      ["Media", ["Keys", "Alpha", "Zeta"]],
    ]);
  });

  it("leaves out what is for administrators", () => {
    expect(navGroups(manifests, "user").flatMap(({ items }) => items.map(({ label }) => label))).not.toContain(
      "Keys",
    );
  });

  it("opens the first entry, else the first page that needs no parameter", () => {
    expect(firstPage(manifests[0] as UiManifest)).toBe("/keys");
    const paged = {
      ...manifest("p", []),
      pages: [
        { path: "/:id", title: "x" },
        { path: "/all", title: "y" },
      ],
    };
    expect(firstPage(paged)).toBe("/all");
    expect(firstPage(manifest("p", []))).toBeNull();
  });
});
