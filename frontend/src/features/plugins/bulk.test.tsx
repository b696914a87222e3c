import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { act, renderHook, waitFor } from "@testing-library/react";
import type { ReactNode } from "react";
import { describe, expect, it, vi } from "vitest";
import { type PluginDetail, setEnabled } from "@/api/plugins";
import { ApiProblem, type Problem } from "@/api/problem";
import { listed } from "@/testing/plugins";
import { type BulkItem, between, comesAfter, itemsFor, outcomeOf, question, tally } from "./bulk";
import { useBulk } from "./use-bulk";
import { useSelection } from "./use-selection";

vi.mock("@/api/plugins", async (original) => ({
  ...(await original<typeof import("@/api/plugins")>()),
  setEnabled: vi.fn(),
}));

describe("what is asked of many plugins", () => {
  it("leaves out what is so already or cannot be, and says why", () => {
    const items = itemsFor([listed("off", "disabled"), listed("on", "ready"), listed("bad", "invalid")], "enable");
    expect(items.map(({ asked, why }) => [asked, why])).toEqual([
      ["waiting", undefined],
      ["skipped", "It is enabled already."],
      ["skipped", "Its manifest has errors, so it cannot be enabled."],
    ]);
    expect(itemsFor([listed("off", "disabled")], "disable")[0]?.why).toBe("It is off already.");
  });

  it.each([
    ["enable", listed("a", "ready"), "done"],
    ["enable", listed("a", "idle"), "done"],
    ["enable", listed("a", "building", { progress: "Step 1/3" }), "under-way"],
    ["enable", listed("a", "backoff"), "under-way"],
    ["enable", listed("a", "failed"), "failed"],
    ["enable", listed("a", "quarantined"), "failed"],
    ["enable", listed("a", "disabled"), "failed"],
    ["disable", listed("a", "stopping", { enabled: false }), "under-way"],
    ["disable", listed("a", "disabled"), "done"],
    ["disable", listed("a", "ready"), "failed"],
    ["enable", undefined, "failed"],
  ] as const)("%s: what Nimbus says of it now decides (%#)", (verb, now, outcome) => {
    expect(outcomeOf({ id: "a", name: "A", asked: "asked" }, now, verb)[0]).toBe(outcome);
  });

  it("a failure is told in the plugin's own words", () => {
    const failed = listed("a", "failed", { reason: { code: "x", message: "Its image is gone." } });
    expect(outcomeOf({ id: "a", name: "A", asked: "asked" }, failed, "enable")).toEqual([
      "failed",
      "Its image is gone.",
    ]);
    expect(tally(["done", "failed", "done"])).toMatchObject({ done: 2, failed: 1, waiting: 0 });
  });

  it("a range goes both ways, and is one plugin when its beginning is gone", () => {
    expect(between(["a", "b", "c", "d"], "c", "a")).toEqual(["a", "b", "c"]);
    expect(between(["a", "b"], "gone", "b")).toEqual(["b"]);
  });
});

describe("what is left to ask after a change to many", () => {
  const needed = (...ids: string[]): BulkItem["needs"] => ({
    kind: "needed",
    dependents: ids.map((id) => ({ id, name: id, version: "*", optional: false, enabled: true, state: "ready" })),
  });
  const unmet = (canEnable: boolean, id: string): BulkItem["needs"] => ({
    kind: "unmet",
    canEnable,
    dependencies: [{ id, version: "*", optional: false, problem: canEnable ? "disabled" : "missing" }],
  });
  const item = (id: string, asked: BulkItem["asked"], needs?: BulkItem["needs"]): BulkItem => ({
    id,
    name: id.toUpperCase(),
    asked,
    needs,
  });

  it("is one question about all, and names each of the others once", () => {
    const items = [item("a", "refused", needed("x", "y")), item("b", "refused", needed("y")), item("c", "asked")];
    const asks = question(items);
    expect(asks?.names).toEqual(["A", "B"]);
    expect(asks?.needs).toMatchObject({ kind: "needed", dependents: [{ id: "x" }, { id: "y" }] });
    expect(question([item("c", "asked"), item("d", "refused")])).toBeNull();
  });

  it("is about those for which something can be done", () => {
    const items = [item("a", "refused", unmet(false, "gone")), item("b", "refused", unmet(true, "off"))];
    expect(question(items)).toMatchObject({ ids: ["b"], needs: { canEnable: true, dependencies: [{ id: "off" }] } });
    expect(question(items.slice(0, 1))).toMatchObject({ ids: ["a"], needs: { canEnable: false } });
  });

  it("is not about what the same change has settled", () => {
    const first = item("a", "refused", needed("b"));
    expect(comesAfter(first, [first, item("b", "asked")])).toBe(true);
    expect(comesAfter(first, [first, item("b", "refused")])).toBe(false);
    expect(comesAfter(item("a", "refused"), [item("b", "asked")])).toBe(false);
  });
});

describe("the selection", () => {
  it("takes ranges, and never holds what a filter hides", () => {
    const all = ["a", "b", "c", "d"].map((id) => listed(id, "disabled"));
    const { result, rerender } = renderHook(({ shown }) => useSelection(shown), { initialProps: { shown: all } });
    act(() => result.current.selection.toggle("b", false));
    act(() => result.current.selection.toggle("d", true));
    expect(result.current.chosen.map(({ id }) => id)).toEqual(["b", "c", "d"]);
    rerender({ shown: all.slice(0, 2) });
    expect(result.current.selection.count).toBe(1);
    act(() => result.current.selection.all(true));
    expect(result.current.chosen.map(({ id }) => id)).toEqual(["a", "b"]);
    act(() => result.current.selection.all(false));
    expect(result.current.selection.count).toBe(0);
  });
});

describe("a change to many", () => {
  it("asks each, a few at a time, and one refusal stops nobody", async () => {
    let under = 0;
    let most = 0;
    vi.mocked(setEnabled).mockImplementation(async (id) => {
      under += 1;
      most = Math.max(most, under);
      await new Promise((resolve) => setTimeout(resolve, 1));
      under -= 1;
      if (id === "p3")
        throw new ApiProblem(409, {
          type: "/problems/consent-required",
          title: "x",
          status: 409,
          detail: "Nobody has decided.",
        });
      return { plugin: listed(id, "starting") as PluginDetail, generation: 2, settled: false };
    });
    const client = new QueryClient();
    const wrapper = ({ children }: { children: ReactNode }) => (
      <QueryClientProvider client={client}>{children}</QueryClientProvider>
    );
    const { result } = renderHook(() => useBulk(), { wrapper });
    const many = Array.from({ length: 9 }, (_, index) => listed(`p${index}`, "disabled"));
    await act(() => result.current.start("enable", many));
    await waitFor(() => expect(result.current.run?.items.every(({ asked }) => asked !== "waiting")).toBe(true));
    const refused = result.current.run?.items.filter(({ asked }) => asked === "refused");
    expect(refused?.map(({ id, why }) => [id, why])).toEqual([["p3", "Nobody has decided."]]);
    expect(most).toBeGreaterThan(1);
    expect(most).toBeLessThanOrEqual(4);
  });

  it("comes back to what needed another of the same change first", async () => {
    const off = new Set<string>();
    vi.mocked(setEnabled).mockImplementation(async (id) => {
      const before = { indexer: "search", search: "sonarr" }[id];
      if (before && !off.has(before))
        throw new ApiProblem(409, {
          type: "/problems/plugin-needed",
          title: "x",
          status: 409,
          detail: "x",
          dependents: [{ id: before }],
        } as unknown as Problem);
      off.add(id);
      return { plugin: listed(id, "stopping") as PluginDetail, generation: 2, settled: false };
    });
    const wrapper = ({ children }: { children: ReactNode }) => (
      <QueryClientProvider client={new QueryClient()}>{children}</QueryClientProvider>
    );
    const { result } = renderHook(() => useBulk(), { wrapper });
    await act(() =>
      result.current.start(
        "disable",
        ["indexer", "search", "sonarr"].map((id) => listed(id, "ready")),
      ),
    );
    expect(result.current.run).toMatchObject({ over: true });
    expect(result.current.run?.items.map(({ asked }) => asked)).toEqual(["asked", "asked", "asked"]);
    expect(question(result.current.run?.items ?? [])).toBeNull();
  });
});
