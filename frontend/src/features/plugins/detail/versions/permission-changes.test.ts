import { expect, it } from "vitest";
import type { PluginVersion } from "@/api/plugin-admin";
import { permissionChanges } from "./permission-changes";

const version = (permissions: string[], missingPermissions: string[] = []): PluginVersion => ({
  version: "1.0.0",
  status: "waiting",
  source: "image:example:1",
  since: "2026-01-01T00:00:00Z",
  permissions,
  missingPermissions,
});

it("tells apart what is new, what is gone and what stays", () => {
  const next = version(["media:read", "network:egress"], ["network:egress"]);
  expect(permissionChanges(version(["media:read", "media:write"]), next)).toEqual({
    asked: ["network:egress"],
    dropped: ["media:write"],
    kept: ["media:read"],
  });
  expect(permissionChanges(undefined, version([]))).toEqual({ asked: [], dropped: [], kept: [] });
});
