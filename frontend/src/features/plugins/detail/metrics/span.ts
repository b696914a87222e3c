import type { Transition } from "@/api/plugins";

export const SPANS = ["1h", "6h", "24h"] as const;
export type Span = (typeof SPANS)[number];

/** The address's choice; the last hour when there is none. */
export const parseSpan = (search: Record<string, unknown>): { span?: Exclude<Span, "1h"> } =>
  search.span === "6h" || search.span === "24h" ? { span: search.span } : {};

/** From these a start is a start anew; from others it was switched on or woken. */
const AGAIN = new Set(["ready", "degraded", "backoff", "failed", "quarantined"]);

/** How often a plugin was started anew in each slot. Pure. */
export function restartsIn(transitions: readonly Transition[], slots: readonly string[], step: number): number[] {
  const begin = Date.parse(slots[0] ?? "");
  const counts = slots.map(() => 0);
  for (const { fromState, toState, at } of transitions) {
    if (toState !== "starting" || !AGAIN.has(fromState ?? "")) continue;
    const slot = Math.floor((Date.parse(at) - begin) / (step * 1000));
    if (slot >= 0 && slot < counts.length) counts[slot] = (counts[slot] ?? 0) + 1;
  }
  return counts;
}

/** Seconds as people say them of an answer: "12 ms", "1.2 s". */
export function duration(seconds: number): string {
  if (seconds === 0) return "0";
  if (seconds < 0.001) return `${(seconds * 1000).toFixed(2)} ms`;
  return seconds < 1 ? `${Math.round(seconds * 1000)} ms` : `${seconds.toFixed(seconds < 10 ? 1 : 0)} s`;
}

/** A number of requests, whole unless the scale made it otherwise. */
export const plain = (value: number): string => (Number.isInteger(value) ? String(value) : value.toFixed(1));
