import { describe, expect, it, vi } from "vitest";
import type { ListedPlugin } from "@/api/plugins";
import { type CommandSources, commandsOf, matching } from "./commands";

const plugin = (id: string, enabled: boolean): ListedPlugin => ({
  id,
  name: id,
  version: "1.0.0",
  enabled,
  state: enabled ? "ready" : "disabled",
  since: "2026-01-01T00:00:00Z",
  trusted: true,
});

const sources = (role: "admin" | "user"): CommandSources => ({
  role,
  plugins: [plugin("captions", true), plugin("indexer", false)],
  manifests: [],
  go: vi.fn(),
  setEnabled: vi.fn(),
  rescan: vi.fn(),
  theme: vi.fn(),
});

describe("the palette", () => {
  it("offers what an administrator may do, and runs it", () => {
    const given = sources("admin");
    const found = matching(commandsOf(given), "index ena");
    expect(found.map((command) => command.label)).toEqual(["Enable indexer"]);
    found[0]?.run();
    expect(given.setEnabled).toHaveBeenCalledWith(given.plugins[1], true);
  });

  it("offers nobody else what they may not", () => {
    const labels = commandsOf(sources("user")).map((command) => command.label);
    expect(labels.some((label) => /able|Rescan/.test(label))).toBe(false);
  });

  it("puts what begins with the words first, and shows everything before anything is typed", () => {
    const commands = commandsOf(sources("admin"));
    expect(matching(commands, " ")).toEqual(commands);
    expect(matching(commands, "plug")[0]?.label).toBe("Plugins");
    expect(matching(commands, "no such thing")).toEqual([]);
  });
});
