import type { PluginDetail } from "@/api/plugins";
import { texts } from "@/texts";

const { keys } = texts.access;

export interface ScopeChoice {
  scope: string;
  explanation: string;
}

/** What a key may be given: Nimbus's own scopes, then those that routes of plugins ask for. */
export function scopeChoices(plugins: readonly Partial<Pick<PluginDetail, "name" | "manifest">>[]): ScopeChoice[] {
  const own = Object.entries(keys.own).map(([scope, explanation]) => ({ scope, explanation }));
  const known = new Set(own.map(({ scope }) => scope));
  const asked = new Map<string, Set<string>>();
  for (const { name = "", manifest } of plugins) {
    for (const scope of manifest?.routes?.flatMap((route) => route.scopes ?? []) ?? []) {
      if (!known.has(scope)) asked.set(scope, (asked.get(scope) ?? new Set()).add(name));
    }
  }
  const others = [...asked].map(([scope, names]) => ({ scope, explanation: keys.askedBy([...names].join(", ")) }));
  return [...own, ...others.sort((a, b) => a.scope.localeCompare(b.scope, "en"))];
}

const DAY_MS = 86_400_000;

/** For how many days a key is made; empty is for ever. */
export const LIFETIMES = ["30", "90", "365", ""].map((days) => ({ value: days, label: keys.days(days) }));

export function expiryOf(days: string, now: Date): string | null {
  return days === "" ? null : new Date(now.getTime() + Number(days) * DAY_MS).toISOString();
}
