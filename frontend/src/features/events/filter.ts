import type { EventFilter } from "@/api/events";

export const SPANS = ["any", "15m", "1h", "24h", "range"] as const;
export type Span = (typeof SPANS)[number];

const MINUTE_MS = 60_000;
const LENGTHS: Partial<Record<string, number>> = {
  "15m": 15 * MINUTE_MS,
  "1h": 60 * MINUTE_MS,
  "24h": 24 * 60 * MINUTE_MS,
};

/** What the inputs of the form ask for; what is empty does not matter. A moment of the form is one of this device. */
export function filterOf(input: (name: string) => string, now: number): EventFilter {
  const text = (name: "type" | "source" | "text") => {
    const value = input(name).trim();
    return value ? { [name]: value } : {};
  };
  const moment = (name: "since" | "until") => {
    const at = new Date(input(name));
    return Number.isNaN(at.getTime()) ? {} : { [name]: at.toISOString() };
  };
  const length = LENGTHS[input("span")];
  const time =
    length !== undefined
      ? { since: new Date(now - length).toISOString() }
      : input("span") === "range"
        ? { ...moment("since"), ...moment("until") }
        : {};
  return { ...text("type"), ...text("source"), ...text("text"), ...time };
}
