import { describe, expect, it } from "vitest";
import { filterOf } from "./filter";

const NOW = Date.parse("2026-11-27T12:00:00Z");
const asked = (form: Record<string, string>) => filterOf((name) => form[name] ?? "", NOW);

describe("the filter of the events", () => {
  it("holds what was filled in, and nothing else", () => {
    expect(asked({})).toEqual({});
    expect(asked({ type: " io.nimbus.media. ", source: "/plugins/hello", text: "Third Man", span: "any" })).toEqual({
      type: "io.nimbus.media.",
      source: "/plugins/hello",
      text: "Third Man",
    });
  });

  it("counts a span from now", () => {
    expect(asked({ span: "15m" })).toEqual({ since: "2026-11-27T11:45:00.000Z" });
    expect(asked({ span: "24h" })).toEqual({ since: "2026-11-26T12:00:00.000Z" });
  });

  it("takes either end of a range, in the device's own time", () => {
    const since = new Date(2026, 10, 27, 9, 30).toISOString();
    expect(asked({ span: "range", since: "2026-11-27T09:30" })).toEqual({ since });
    expect(asked({ span: "range", since: "", until: "2026-11-27T09:30" })).toEqual({ until: since });
    expect(asked({ span: "1h", since: "2026-11-27T09:30" })).toEqual({ since: "2026-11-27T11:00:00.000Z" });
  });
});
