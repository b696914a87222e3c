import type { ListedPlugin } from "@/api/plugins";
import { texts } from "@/texts";
import type { Needs } from "./needs";
import { isServing } from "./state";

export type Verb = "enable" | "disable";

/** One plugin of a change to many, and how far the asking has come. */
export interface BulkItem {
  id: string;
  name: string;
  asked: "waiting" | "asked" | "refused" | "skipped";
  /** Why it was refused or left out. */
  why?: string | undefined;
  /** The other plugins that it was refused for. */
  needs?: Needs | undefined;
}

export type Outcome = "waiting" | "under-way" | "done" | "failed" | "skipped";

/** Why a plugin need not or cannot be asked; `null` when it can. */
export function skipped(plugin: ListedPlugin, verb: Verb): string | null {
  const { bulk } = texts;
  if (verb === "disable") return plugin.enabled ? null : bulk.alreadyOff;
  if (plugin.enabled) return bulk.alreadyOn;
  return plugin.state === "invalid" ? bulk.invalid : null;
}

/** What is to be done, and what is left out with its reason. */
export const itemsFor = (plugins: readonly ListedPlugin[], verb: Verb): BulkItem[] =>
  plugins.map((plugin) => {
    const why = skipped(plugin, verb);
    const item = { id: plugin.id, name: plugin.name };
    return why === null ? { ...item, asked: "waiting" } : { ...item, asked: "skipped", why };
  });

/** Whether it was refused only for others of the same change that have been switched since: it is to be asked again. */
export function comesAfter({ asked, needs }: BulkItem, items: readonly BulkItem[]): boolean {
  if (asked !== "refused" || !needs) return false;
  const switched = new Set(items.filter((item) => item.asked === "asked").map(({ id }) => id));
  const others = needs.kind === "needed" ? needs.dependents : needs.dependencies;
  return others.every(({ id }) => switched.has(id));
}

/**
 * The one question that is left of a change to many, and about whom: what stands in the way of those that were
 * refused. Where more can be done for some than for others, it is about them.
 */
export function question(items: readonly BulkItem[]): { ids: string[]; names: string[]; needs: Needs } | null {
  const stuck = items.flatMap(({ id, name, asked, needs }) =>
    asked === "refused" && needs ? [{ id, name, needs }] : [],
  );
  const able = stuck.filter(({ needs }) => needs.kind === "needed" || needs.canEnable);
  const about = able.length > 0 ? able : stuck;
  const [first] = about;
  if (!first) return null;
  const common = { ids: about.map(({ id }) => id), names: about.map(({ name }) => name) };
  const unique = <Other extends { id: string }>(others: readonly Other[]) => [
    ...new Map(others.map((other) => [other.id, other])).values(),
  ];
  return first.needs.kind === "needed"
    ? {
        ...common,
        needs: {
          kind: "needed",
          dependents: unique(about.flatMap(({ needs }) => (needs.kind === "needed" ? needs.dependents : []))),
        },
      }
    : {
        ...common,
        needs: {
          kind: "unmet",
          dependencies: unique(about.flatMap(({ needs }) => (needs.kind === "unmet" ? needs.dependencies : []))),
          canEnable: able.length > 0,
        },
      };
}

/** Where a plugin stands, by what it was asked and what Nimbus says of it now: never better than that. */
export function outcomeOf(item: BulkItem, plugin: ListedPlugin | undefined, verb: Verb): [Outcome, string] {
  const { bulk, states } = texts;
  if (item.asked === "waiting") return ["waiting", bulk.waiting];
  if (item.asked === "skipped") return ["skipped", item.why ?? ""];
  if (item.asked === "refused") return ["failed", item.why ?? ""];
  if (!plugin) return ["failed", bulk.gone];
  const { state } = plugin;
  const stands = plugin.reason?.message ?? states[state];
  if (verb === "disable") {
    if (plugin.enabled) return ["failed", bulk.switchedBack];
    return state === "disabled" || state === "invalid" ? ["done", states.disabled] : ["under-way", states[state]];
  }
  if (!plugin.enabled) return ["failed", bulk.switchedBack];
  if (isServing(state) || state === "idle") return ["done", states[state]];
  if (state === "failed" || state === "quarantined" || state === "invalid") return ["failed", stands];
  return ["under-way", state === "backoff" ? stands : plugin.progress || states[state]];
}

export const tally = (outcomes: readonly Outcome[]): Record<Outcome, number> => {
  const counts = { waiting: 0, "under-way": 0, done: 0, failed: 0, skipped: 0 };
  for (const outcome of outcomes) counts[outcome] += 1;
  return counts;
};

/** The ids from one place in the list to another, both with it. */
export function between(ids: readonly string[], from: string, to: string): string[] {
  const [a, b] = [ids.indexOf(from), ids.indexOf(to)];
  return a < 0 || b < 0 ? [to] : ids.slice(Math.min(a, b), Math.max(a, b) + 1);
}
