import { useEffect, useState } from "react";
import { restWhileHidden } from "@/live/rest";
import { append, type LogLevel, type LogLine, parseLine } from "./log-buffer";

export type LogStatus = "connecting" | "open" | "broken";

/** Lines to begin with; more where somebody looks for something, because few of them fit. */
const TAIL = 500;
const FOUND = 1_000;
const RETRY_MS = 2_000;

/** What is looked for: Nimbus looks through everything that it keeps. */
export interface LogSearch {
  level: LogLevel | "";
  text: string;
}

/** The query of a log's calls for what is looked for. */
export function searchQuery({ level, text }: LogSearch): URLSearchParams {
  const wanted = text.trim();
  return new URLSearchParams({ ...(level && { level }), ...(wanted && { q: wanted }) });
}

/**
 * Follows a plugin's log. Lines that come in a burst are shown together, once a frame.
 *
 * A tab that nobody looks at has no stream; the one that is opened again goes on after the last line that came.
 */
export function useLog(
  pluginId: string,
  search: LogSearch,
): { lines: readonly LogLine[]; status: LogStatus; clear: () => void } {
  const [lines, setLines] = useState<readonly LogLine[]>([]);
  const [status, setStatus] = useState<LogStatus>("connecting");
  const query = searchQuery(search).toString();

  useEffect(() => {
    let source: EventSource;
    let after = "";
    let retry: ReturnType<typeof setTimeout> | undefined;
    let frame = 0;
    let waiting: LogLine[] = [];
    const flush = () => {
      frame = 0;
      const batch = waiting;
      waiting = [];
      setLines((shown) => append(shown, batch));
    };
    const receive = (event: MessageEvent<string>) => {
      const line = parseLine(event.data);
      if (!line) return;
      after = line.cursor || after;
      waiting.push(line);
      if (!frame) frame = requestAnimationFrame(flush);
    };
    const open = () => {
      const tail = query ? `${FOUND}&${query}` : TAIL;
      const behind = after && `&after=${encodeURIComponent(after)}`;
      source = new EventSource(
        `/api/admin/plugins/${encodeURIComponent(pluginId)}/logs?follow=true&tail=${tail}${behind}`,
      );
      source.addEventListener("open", () => setStatus("open"));
      source.addEventListener("log", receive);
      source.addEventListener("error", () => {
        setStatus("broken");
        // The browser tries again by itself unless the server refused.
        if (source.readyState === EventSource.CLOSED) retry = setTimeout(open, RETRY_MS);
      });
    };
    const close = () => {
      source.close();
      clearTimeout(retry);
    };
    setLines([]);
    setStatus("connecting");
    open();
    const endRests = restWhileHidden(close, open);
    return () => {
      endRests();
      close();
      cancelAnimationFrame(frame);
    };
  }, [pluginId, query]);

  return { lines, status, clear: () => setLines([]) };
}
