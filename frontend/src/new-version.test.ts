import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { mayReload } from "./new-version";

beforeEach(() => {
  sessionStorage.clear();
  vi.useFakeTimers();
});
afterEach(() => vi.useRealTimers());

it("reloads once in ten seconds, three times in a row, and then no more until it was well for long", () => {
  const seen = [];
  for (let second = 0; second < 60; second += 2) {
    seen.push(mayReload());
    vi.advanceTimersByTime(2_000);
  }
  expect(seen.filter((one) => one === "now")).toHaveLength(3);
  expect(seen.slice(0, 6)).toEqual(["now", "later", "later", "later", "later", "now"]);
  expect(seen.at(-1)).toBe("never");
  vi.advanceTimersByTime(300_000);
  expect(mayReload()).toBe("now");
});

it("reloads never where nothing can be noted", () => {
  vi.spyOn(Storage.prototype, "getItem").mockImplementation(() => {
    throw new DOMException("denied", "SecurityError");
  });
  expect(mayReload()).toBe("never");
  vi.restoreAllMocks();
});
