import type { PluginVersion } from "@/api/plugin-admin";

/** How what a plugin may do changes with another version; each list as the manifests have it. */
export interface PermissionChanges {
  /** Asked for by the other version, and not granted: a person decides. */
  asked: readonly string[];
  /** No longer asked for. */
  dropped: readonly string[];
  /** As before. */
  kept: readonly string[];
}

export function permissionChanges(installed: PluginVersion | undefined, next: PluginVersion): PermissionChanges {
  const asked = next.missingPermissions ?? [];
  const wanted = next.permissions ?? [];
  return {
    asked,
    dropped: (installed?.permissions ?? []).filter((name) => !wanted.includes(name)),
    kept: wanted.filter((name) => !asked.includes(name)),
  };
}
