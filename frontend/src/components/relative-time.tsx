import { texts } from "@/texts";
import { useNow } from "./use-now";

const UNITS: [Intl.RelativeTimeFormatUnit, number][] = [
  ["day", 86_400],
  ["hour", 3_600],
  ["minute", 60],
  ["second", 1],
];
/** Told by the second. */
const YOUNG_MS = 60_000;
const words = new Intl.RelativeTimeFormat("en", { numeric: "auto" });
const exact = new Intl.DateTimeFormat("en", { dateStyle: "medium", timeStyle: "medium" });

/** "3 minutes ago". */
export function relative(then: number, now: number): string {
  const seconds = Math.round((then - now) / 1000);
  if (Math.abs(seconds) < 5) return texts.common.justNow;
  const [unit, size] = UNITS.find(([, length]) => Math.abs(seconds) >= length) ?? ["second", 1];
  return words.format(Math.round(seconds / size), unit);
}

export const exactTime = (iso: string): string => exact.format(new Date(iso));

/** A moment in words, kept true while it is shown; the exact time on hover. */
export function RelativeTime({ at, className }: { at: string; className?: string }) {
  const then = Date.parse(at);
  useNow(Date.now() - then < YOUNG_MS ? 1_000 : 30_000); // says when to draw again; its time is too coarse to tell
  if (Number.isNaN(then)) return null;
  return (
    <time dateTime={at} title={exactTime(at)} className={className}>
      {relative(then, Math.max(Date.now(), then))}
    </time>
  );
}
