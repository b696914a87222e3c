import type { UiManifest } from "@/api/plugins";

export interface NavEntry {
  pluginId: string;
  label: string;
  path: string;
  icon: string | null;
  order: number;
  /** Its plugin has other entries, so it is active only on its exact path. */
  hasSiblings: boolean;
}

export interface NavGroup {
  /** `null` holds what names no group; it comes first. */
  name: string | null;
  items: NavEntry[];
}

const byText = (a: string, b: string) => a.localeCompare(b, "en");

/** The sidebar's entries of running plugins: by group, then order, then label. */
export function navGroups(manifests: readonly UiManifest[], role: "admin" | "user"): NavGroup[] {
  const groups = new Map<string | null, NavEntry[]>();
  for (const manifest of manifests) {
    const visible = (manifest.navItems ?? []).filter((item) => item.role !== "admin" || role === "admin");
    for (const item of visible) {
      const group = groups.get(item.group ?? null) ?? [];
      group.push({
        pluginId: manifest.pluginId,
        label: item.label,
        path: item.path ?? "/",
        icon: item.icon ?? null,
        order: item.order ?? 0,
        hasSiblings: visible.length > 1,
      });
      groups.set(item.group ?? null, group);
    }
  }
  return [...groups]
    .map(([name, items]) => ({
      name,
      items: items.sort((a, b) => a.order - b.order || byText(a.label, b.label) || byText(a.pluginId, b.pluginId)),
    }))
    .sort((a, b) => (a.name === null ? -1 : b.name === null ? 1 : byText(a.name, b.name)));
}

/** Where "Open" leads: the first entry, else the first page without parameters; `null` when there is neither. */
export function firstPage(manifest: UiManifest): string | null {
  const item = [...(manifest.navItems ?? [])].sort((a, b) => (a.order ?? 0) - (b.order ?? 0))[0];
  if (item) return item.path ?? "/";
  return (manifest.pages ?? []).find((page) => !page.path.includes(":"))?.path ?? null;
}
