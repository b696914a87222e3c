import { afterEach, expect, it, vi } from "vitest";
import { haveHeardOf, unwrap } from "./client";
import { uiManifests } from "./generated";

afterEach(() => {
  haveHeardOf("");
  vi.unstubAllGlobals();
});

it("asks for answers no older than the last event", async () => {
  const asked: (string | null)[] = [];
  vi.stubGlobal("fetch", async (request: Request) => {
    asked.push(request.headers.get("X-Nimbus-Generation"));
    return Response.json({ items: [] });
  });
  await unwrap(uiManifests({ baseUrl: "http://localhost" }));
  haveHeardOf("42");
  await unwrap(uiManifests({ baseUrl: "http://localhost" }));
  expect(asked).toEqual([null, "42"]);
});
