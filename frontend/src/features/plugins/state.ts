import type { PluginState, PluginSummary } from "@/api/plugins";
import { texts } from "@/texts";

export type Tone = "neutral" | "busy" | "positive" | "warning" | "danger";
export type StateFilter = "all" | "running" | "attention" | "off";

const TONES: Record<PluginState, Tone> = {
  invalid: "danger",
  disabled: "neutral",
  building: "busy",
  pulling: "busy",
  starting: "busy",
  initializing: "busy",
  ready: "positive",
  degraded: "warning",
  stopping: "busy",
  failed: "danger",
  backoff: "warning",
  quarantined: "danger",
  idle: "positive",
};

const STAGES: Partial<Record<PluginState, number>> = {
  building: 0,
  pulling: 0,
  starting: 1,
  initializing: 2,
  ready: 3,
};

/** The stages from enabled to ready, in order; keys of the texts. */
export const STAGE_NAMES = ["prepare", "start", "initialize", "ready"] as const;

export const toneOf = (state: PluginState): Tone => TONES[state] ?? "neutral";

/** What its state means. One that is enabled and off all the same says why: Nimbus starts no plugin now. */
export const helpOf = ({ state, enabled, reason }: PluginSummary): string =>
  state === "disabled" && enabled && reason ? reason.message : texts.stateHelp[state];

/** It answers requests right now. */
export const isServing = (state: PluginState): boolean => state === "ready" || state === "degraded";

/** It is on its way to another state by itself, soon. */
export const isBusy = (state: PluginState): boolean => toneOf(state) === "busy";

/** Position in {@link STAGE_NAMES} while it starts; `null` in every other state. */
export function stageOf(state: PluginState): number | null {
  return state === "ready" ? null : (STAGES[state] ?? null);
}

/** A person should look at it. */
export function needsAttention(state: PluginState): boolean {
  return toneOf(state) === "danger" || toneOf(state) === "warning";
}

export function matchesFilter(state: PluginState, filter: StateFilter): boolean {
  switch (filter) {
    case "all":
      return true;
    case "running":
      return isServing(state) || state === "idle" || (isBusy(state) && state !== "stopping");
    case "attention":
      return needsAttention(state);
    case "off":
      return state === "disabled" || state === "stopping";
  }
}

/** Whether every word of the search occurs in what a person sees of the plugin. */
export function matchesSearch(plugin: PluginSummary, search: string): boolean {
  const text = [plugin.id, plugin.name, plugin.description, plugin.author, ...(plugin.capabilities ?? [])]
    .join(" ")
    .toLowerCase();
  return search
    .toLowerCase()
    .split(/\s+/)
    .every((word) => text.includes(word));
}

/** By name, and never by state: a card that jumps while its state moves is hard to follow. */
export function inOrder<Plugin extends PluginSummary>(plugins: readonly Plugin[]): Plugin[] {
  return [...plugins].sort((a, b) => a.name.localeCompare(b.name, "en") || a.id.localeCompare(b.id, "en"));
}
