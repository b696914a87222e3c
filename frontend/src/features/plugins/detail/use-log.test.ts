import { act, renderHook } from "@testing-library/react";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { useLog } from "./use-log";

class FakeSource extends EventTarget {
  static readonly CLOSED = 2;
  readyState = 1;
  close = vi.fn();
  readonly asked: URLSearchParams;
  constructor(address: string) {
    super();
    this.asked = new URL(address, "http://nimbus.test").searchParams;
    sources.push(this);
  }
  log(cursor: string) {
    const data = JSON.stringify({ cursor, stream: "stdout", text: `line ${cursor}` });
    this.dispatchEvent(new MessageEvent("log", { data, lastEventId: cursor }));
  }
}

let sources: FakeSource[];
const last = () => sources.at(-1) as FakeSource;
const look = (hidden: boolean) => {
  vi.spyOn(document, "hidden", "get").mockReturnValue(hidden);
  document.dispatchEvent(new Event("visibilitychange"));
};

beforeEach(() => {
  vi.useFakeTimers();
  sources = [];
  vi.stubGlobal("EventSource", FakeSource);
});
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
  vi.restoreAllMocks();
});

it("lets go of the stream of a tab that nobody looks at, and goes on after the last line", () => {
  const { result, unmount } = renderHook(() => useLog("films", { level: "", text: "" }));
  const shown = () => result.current.lines.map((line) => line.cursor);
  expect(last().asked.get("after")).toBeNull();
  act(() => {
    last().log("a");
    last().log("b");
    vi.advanceTimersByTime(100);
  });
  expect(shown()).toEqual(["a", "b"]);

  look(true);
  vi.advanceTimersByTime(60_000);
  expect(last().close).toHaveBeenCalledOnce();
  expect(sources).toHaveLength(1);
  look(false);
  expect(sources).toHaveLength(2);
  expect(Object.fromEntries(last().asked)).toEqual({ follow: "true", tail: "500", after: "b" });
  act(() => {
    last().log("c");
    vi.advanceTimersByTime(100);
  });
  expect(shown()).toEqual(["a", "b", "c"]);

  unmount();
  expect(last().close).toHaveBeenCalledOnce();
  look(true);
  vi.advanceTimersByTime(60_000);
  look(false);
  expect(sources).toHaveLength(2);
});

it("begins anew when something else is looked for", () => {
  const { rerender } = renderHook(({ text }) => useLog("films", { level: "", text }), { initialProps: { text: "" } });
  last().log("a");
  rerender({ text: "broke" });
  expect(Object.fromEntries(last().asked)).toEqual({ q: "broke", follow: "true", tail: "1000" });
});
