import { describe, expect, it } from "vitest";
import { safeNext } from "@/router";
import { unwrap } from "./client";
import { ApiProblem, fieldError, messageOf, problemOf } from "./problem";

const response = (status: number, headers: Record<string, string> = {}) => new Response(null, { status, headers });

describe("problems in words", () => {
  it("says the problem's detail first, then what its type means, then its title", () => {
    const problem = { type: "/problems/forbidden", title: "Forbidden", status: 403 };
    expect(problemOf({ ...problem, detail: "Not you." }, response(403)).message).toBe("Not you.");
    expect(problemOf(problem, response(403)).message).toMatch(/administrator/);
    expect(problemOf({ ...problem, type: "/problems/new" }, response(403)).message).toBe("Forbidden");
  });

  it("says something useful of what is no problem body", () => {
    expect(problemOf("<html>", response(502)).message).toMatch(/HTTP 502/);
    expect(problemOf(null, undefined).message).toMatch(/cannot be reached/);
    expect(messageOf("thrown text")).toBe("Something went wrong.");
  });

  it("keeps how long to wait", () => {
    expect(problemOf(null, response(429, { "retry-after": "30" })).retryAfter).toBe(30);
    expect(problemOf(null, response(429)).retryAfter).toBeNull();
  });

  it("unwraps an answer or throws", async () => {
    await expect(unwrap(Promise.resolve({ data: 1, response: response(200) }))).resolves.toBe(1);
    await expect(unwrap(Promise.resolve({ error: {}, response: response(500) }))).rejects.toBeInstanceOf(ApiProblem);
    await expect(unwrap(Promise.reject(new TypeError("failed to fetch")))).rejects.toMatchObject({ status: 0 });
    await expect(unwrap(Promise.reject(new DOMException("", "AbortError")))).rejects.toBeInstanceOf(DOMException);
  });
});

describe("where to go after signing in", () => {
  it.each([
    ["/manage/plugins/hello?x=1#y", "/manage/plugins/hello?x=1#y"],
    ["//elsewhere.test/", undefined],
    ["/\\elsewhere.test/", undefined],
    ["https://elsewhere.test/", undefined],
    ["javascript:alert(1)", undefined],
    ["/sign-in?next=/", undefined],
    [7, undefined],
  ])("%j leads to %j", (value, expected) => {
    expect(safeNext(value)).toBe(expected);
  });
});

it("finds what is said of a field or of an entry of its list, and not of what is inside it", () => {
  const error = (path: string) =>
    new ApiProblem(422, { type: "/problems/validation", title: "x", status: 422, errors: [{ path, message: "no" }] });
  expect(fieldError(error("/patterns/0"), "patterns")).toBe("no");
  expect(fieldError(error("/patterns"), "patterns")).toBe("no");
  expect(fieldError(error("/manifest/runtime"), "manifest")).toBeUndefined();
});
