import { expect, it } from "vitest";
import { SCREENS } from "../e2e/console/screens";
import { makeQueryClient } from "./query-client";
import { makeRouter } from "./router";

it("has no screen that the browser tests do not look at", () => {
  const routes = Object.keys(makeRouter(makeQueryClient()).routesByPath);
  expect(SCREENS.map(({ route }) => route).sort()).toEqual(routes.sort());
});
