import { describe, expect, it } from "vitest";
import type { ListedPlugin } from "@/api/plugins";
import { listed } from "@/testing/plugins";
import { capabilitiesOf, matching, parseSearch, sorted } from "./search";

const plugin = (id: string, rest: Partial<ListedPlugin> = {}) => listed(id, "disabled", rest);

describe("the list's address", () => {
  it("keeps what it knows and leaves the rest out", () => {
    const all = { q: "subs", state: "attention", capability: "compat:sonarr", sort: "-since" };
    expect(parseSearch({ ...all, other: 1 })).toEqual(all);
    expect(parseSearch({ q: "", state: "all", capability: 3, sort: "name" })).toEqual({});
    expect(parseSearch({ state: "nonsense", sort: "drop table" })).toEqual({});
  });
});

describe("what is shown", () => {
  const plugins = [
    plugin("beta", { capabilities: ["api", "ui"], state: "ready", since: "2026-01-03T00:00:00Z" }),
    plugin("alpha", { capabilities: ["api"], state: "quarantined", since: "2026-01-02T00:00:00Z" }),
    plugin("gamma", { state: "building" }),
  ];
  const ids = (found: readonly ListedPlugin[]) => found.map(({ id }) => id);

  it("is in the order asked for", () => {
    expect(ids(sorted(plugins, "name"))).toEqual(["alpha", "beta", "gamma"]);
    expect(ids(sorted(plugins, "-name"))).toEqual(["gamma", "beta", "alpha"]);
    expect(ids(sorted(plugins, "state"))).toEqual(["alpha", "gamma", "beta"]);
    expect(ids(sorted(plugins, "since"))).toEqual(["beta", "alpha", "gamma"]);
  });

  it("fits words, capability and state together", () => {
    expect(ids(matching(plugins, { capability: "api" }))).toEqual(["beta", "alpha"]);
    expect(ids(matching(plugins, { capability: "api", state: "attention" }))).toEqual(["alpha"]);
    expect(ids(matching(plugins, { q: "gam", capability: "api" }))).toEqual([]);
  });

  it("offers each capability once, with how many have it", () => {
    expect(capabilitiesOf(plugins)).toEqual([
      ["api", 2],
      ["ui", 1],
    ]);
  });
});
