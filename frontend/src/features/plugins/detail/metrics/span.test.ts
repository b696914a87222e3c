import { describe, expect, it } from "vitest";
import type { Transition } from "@/api/plugins";
import { duration, parseSpan, restartsIn } from "./span";

const at = (minute: number) => new Date(Date.UTC(2026, 0, 1, 10, minute)).toISOString();
const change = (fromState: string, toState: string, minute: number) =>
  ({ id: 1, pluginId: "x", cause: "reconciler", fromState, toState, at: at(minute) }) as Transition;

describe("what is shown over time", () => {
  it("counts starts anew by slot, and neither the first start nor one before the time", () => {
    const found = restartsIn(
      [
        change("disabled", "starting", 1),
        change("backoff", "starting", 2),
        change("ready", "starting", 3),
        change("backoff", "starting", 9),
        change("backoff", "starting", 59),
      ],
      [at(2), at(7)],
      300,
    );
    expect(found).toEqual([2, 1]);
  });

  it("says durations as people do", () => {
    expect([0, 0.0004, 0.0123, 0.5, 1.25, 30].map(duration)).toEqual([
      "0",
      "0.40 ms",
      "12 ms",
      "500 ms",
      "1.3 s",
      "30 s",
    ]);
  });

  it("takes the last hour when the address says nothing that it knows", () => {
    expect([parseSpan({ span: "6h" }), parseSpan({ span: "1h" }), parseSpan({ span: 7 })]).toEqual([
      { span: "6h" },
      {},
      {},
    ]);
  });
});
