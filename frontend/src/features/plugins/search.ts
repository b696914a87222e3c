import type { PluginState, PluginSummary } from "@/api/plugins";
import { inOrder, matchesFilter, matchesSearch, type StateFilter, type Tone, toneOf } from "./state";

export const FILTERS: readonly StateFilter[] = ["all", "running", "attention", "off"];
export const SORTS = ["name", "-name", "state", "-state", "since", "-since"] as const;
export type Sort = (typeof SORTS)[number];

/** What the address of the list says: it can be kept, sent and gone back to. */
export interface PluginsSearch {
  q?: string;
  state?: Exclude<StateFilter, "all">;
  capability?: string;
  sort?: Exclude<Sort, "name">;
}

/** The address's search, with whatever else somebody put there left out. */
export function parseSearch(search: Record<string, unknown>): PluginsSearch {
  const { q, state, capability, sort } = search;
  return {
    ...(typeof q === "string" && q !== "" && { q: q.slice(0, 200) }),
    ...(state !== "all" && FILTERS.includes(state as StateFilter) && { state: state as "running" }),
    ...(typeof capability === "string" && capability !== "" && { capability: capability.slice(0, 60) }),
    ...(sort !== "name" && SORTS.includes(sort as Sort) && { sort: sort as "state" }),
  };
}

const URGENCY: Record<Tone, number> = { danger: 0, warning: 1, busy: 2, positive: 3, neutral: 4 };
const urgency = (state: PluginState): number => URGENCY[toneOf(state)];

/** The plugins in the order asked for; equal ones by name. */
export function sorted<Plugin extends PluginSummary>(plugins: readonly Plugin[], sort: Sort): Plugin[] {
  const named = inOrder(plugins);
  const by = sort.replace("-", "");
  if (by === "state") named.sort((a, b) => urgency(a.state) - urgency(b.state));
  if (by === "since") named.sort((a, b) => Date.parse(b.since) - Date.parse(a.since));
  return sort.startsWith("-") ? named.reverse() : named;
}

/** Those that fit the words, the capability and the state. */
export function matching<Plugin extends PluginSummary>(
  plugins: readonly Plugin[],
  { q = "", capability, state = "all" }: { q?: string; capability?: string; state?: StateFilter },
): Plugin[] {
  return plugins.filter(
    (plugin) =>
      matchesSearch(plugin, q) &&
      (!capability || plugin.capabilities?.includes(capability)) &&
      matchesFilter(plugin.state, state),
  );
}

/** Every capability that some plugin has, with how many have it, in order. */
export function capabilitiesOf(plugins: readonly PluginSummary[]): [string, number][] {
  const counts = new Map<string, number>();
  for (const plugin of plugins)
    for (const capability of new Set(plugin.capabilities)) counts.set(capability, (counts.get(capability) ?? 0) + 1);
  return [...counts].sort(([a], [b]) => a.localeCompare(b, "en"));
}
