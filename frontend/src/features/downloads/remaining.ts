import { texts } from "@/texts";

/** How long it still takes, as exactly as anybody can know. */
export function remaining(seconds: number): string {
  const { left } = texts.downloads;
  if (seconds < 60) return left(`${Math.max(Math.ceil(seconds), 1)} s`);
  if (seconds < 3_600) return left(`${Math.ceil(seconds / 60)} min`);
  const hours = Math.floor(seconds / 3_600);
  return left(`${hours} h ${Math.round((seconds % 3_600) / 60)} min`);
}
