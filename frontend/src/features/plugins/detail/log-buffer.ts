export type LogStream = "stdout" | "stderr" | "build" | "platform";

/** From the least to the most urgent. */
export const LEVELS = ["debug", "info", "warning", "error", "critical"] as const;
export type LogLevel = (typeof LEVELS)[number];

export interface LogLine {
  cursor: string;
  at?: string | null;
  stream: LogStream;
  text: string;
  level?: LogLevel | null;
}

/** Most lines that the view keeps; the download and the plugin's own log hold the rest. */
export const MOST_LINES = 100_000;

/**
 * The lines with newer ones after them, the oldest dropped beyond the limit.
 *
 * A stream that was opened again repeats its tail, so lines whose cursor is there already are left out.
 */
export function append(lines: readonly LogLine[], newer: readonly LogLine[], limit = MOST_LINES): LogLine[] {
  const seen = new Set(lines.slice(-1_000).map((line) => line.cursor));
  const fresh = newer.filter((line) => !seen.has(line.cursor));
  if (fresh.length === 0) return lines as LogLine[];
  return [...lines, ...fresh].slice(-limit);
}

/** The lines of a stream that hold a text, in whatever case. */
export function select(lines: readonly LogLine[], stream: LogStream | "all", text: string): readonly LogLine[] {
  const wanted = text.trim().toLowerCase();
  if (stream === "all" && !wanted) return lines;
  return lines.filter(
    (line) => (stream === "all" || line.stream === stream) && line.text.toLowerCase().includes(wanted),
  );
}

/** The lines as a text file. */
export const asText = (lines: readonly LogLine[]): string =>
  lines.map((line) => `${line.at ?? ""}\t${line.stream}\t${line.text}\n`).join("");

// Colours and cursor movement that programs print for terminals.
// biome-ignore lint/suspicious/noControlCharactersInRegex: the escape character is what is looked for
const ANSI = /\u001b(?:\[[0-9;?]*[ -/]*[@-~]|\][^\u0007]*(?:\u0007|\u001b\\)|[@-Z\\-_])/g;

export const withoutEscapes = (text: string): string => text.replace(ANSI, "");

export function parseLine(data: string): LogLine | null {
  try {
    const line: unknown = JSON.parse(data);
    if (typeof line !== "object" || line === null || !("text" in line) || !("cursor" in line)) return null;
    return { ...(line as LogLine), text: withoutEscapes(String(line.text)) };
  } catch {
    return null;
  }
}
