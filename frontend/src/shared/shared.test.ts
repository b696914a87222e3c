import React from "react";
import * as development from "react/jsx-dev-runtime";
import * as runtime from "react/jsx-runtime";
import ReactDOM from "react-dom";
import client from "react-dom/client";
import { describe, expect, it } from "vitest";
import { entryName, importMapTag, SHARED_MODULES } from "../../vite/shared-modules";
import * as sharedReact from "./react";
import * as sharedDom from "./react-dom";
import * as sharedClient from "./react-dom-client";
import * as sharedDevelopment from "./react-jsx-dev-runtime";
import * as sharedRuntime from "./react-jsx-runtime";

describe("what plugin bundles import", () => {
  it.each([
    ["react", sharedReact, React],
    ["react-dom", sharedDom, ReactDOM],
    ["react-dom/client", sharedClient, client],
    ["react/jsx-runtime", sharedRuntime, runtime],
    ["react/jsx-dev-runtime", sharedDevelopment, development],
  ])("%s has every name, and each is the dashboard's own", (_name, shared, own) => {
    const values = shared as Record<string, unknown>;
    for (const [name, value] of Object.entries(own)) {
      if (name === "default" || name === "module.exports") continue;
      expect(Object.keys(values), name).toContain(name);
      expect(values[name], name).toBe(value);
    }
  });

  it("has a file name of its own for each specifier", () => {
    const names = Object.keys(SHARED_MODULES).map(entryName);
    expect(new Set(names).size).toBe(names.length);
    expect(names).toContain("shared-nimbus-ui");
  });

  it("writes an import map that the content security policy lets through", () => {
    expect(importMapTag({ react: "/assets/r.js" })).toBe(
      '<script type="importmap" nonce="__NIMBUS_CSP_NONCE__">{"imports":{"react":"/assets/r.js"}}</script>',
    );
  });
});
