import { describe, expect, it } from "vitest";
import type { PluginState, PluginSummary } from "@/api/plugins";
import {
  helpOf,
  inOrder,
  isBusy,
  isServing,
  matchesFilter,
  matchesSearch,
  needsAttention,
  stageOf,
  toneOf,
} from "./state";

const EVERY: PluginState[] = [
  "invalid",
  "disabled",
  "building",
  "pulling",
  "starting",
  "initializing",
  "ready",
  "degraded",
  "stopping",
  "failed",
  "backoff",
  "quarantined",
  "idle",
];

const plugin = (more: Partial<PluginSummary>): PluginSummary => ({
  id: "captions",
  name: "Captions",
  version: "1.0.0",
  description: "Finds subtitles",
  author: "Media Tools",
  capabilities: ["compat:sonarr"],
  enabled: true,
  state: "ready",
  since: "2026-01-01T00:00:00Z",
  trusted: true,
  ...more,
});

describe("states", () => {
  it("puts every state under exactly one of running, attention and off, or degraded under two", () => {
    for (const state of EVERY) {
      const filters = (["running", "attention", "off"] as const).filter((filter) => matchesFilter(state, filter));
      expect(filters, state).toEqual(
        state === "degraded" ? ["running", "attention"] : [expect.stringMatching(/running|attention|off/)],
      );
      expect(matchesFilter(state, "all")).toBe(true);
    }
  });

  it("knows what serves, what moves and what needs a person", () => {
    expect(EVERY.filter(isServing)).toEqual(["ready", "degraded"]);
    expect(EVERY.filter(isBusy)).toEqual(["building", "pulling", "starting", "initializing", "stopping"]);
    expect(EVERY.filter(needsAttention)).toEqual(["invalid", "degraded", "failed", "backoff", "quarantined"]);
  });

  it("counts the stages of a start only", () => {
    expect(EVERY.map(stageOf)).toEqual([null, null, 0, 0, 1, 2, null, null, null, null, null, null, null]);
  });

  it("says why one is off that is enabled", () => {
    const reason = { code: "safe-mode", message: "Nimbus runs in safe mode." };
    expect(helpOf(plugin({ state: "disabled", enabled: true, reason }))).toBe("Nimbus runs in safe mode.");
    expect(helpOf(plugin({ state: "disabled", enabled: false, reason }))).toBe("It is installed and switched off.");
    expect(helpOf(plugin({ state: "ready", enabled: true }))).toBe("It is running and serves requests.");
  });

  it("shows a state of a newer Nimbus calmly", () => {
    expect(toneOf("asleep" as PluginState)).toBe("neutral");
    expect(stageOf("asleep" as PluginState)).toBeNull();
  });
});

describe("search", () => {
  it.each([
    ["", true],
    ["CAPTIONS", true],
    ["tools subtitles", true],
    ["sonarr", true],
    ["captions indexer", false],
  ])("finds %j: %s", (search, found) => {
    expect(matchesSearch(plugin({}), search)).toBe(found);
  });

  it("orders by name whatever the state", () => {
    const list = [plugin({ name: "Zoom", state: "failed" }), plugin({ name: "aria" }), plugin({ name: "Beta" })];
    expect(inOrder(list).map(({ name }) => name)).toEqual(["aria", "Beta", "Zoom"]);
  });
});
