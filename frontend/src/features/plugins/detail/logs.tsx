import { getRouteApi } from "@tanstack/react-router";
import { useVirtualizer } from "@tanstack/react-virtual";
import { ArrowDownToLine, Download, Eraser, WrapText } from "lucide-react";
import {
  type KeyboardEvent,
  memo,
  type TouchEvent,
  useDeferredValue,
  useEffect,
  useMemo,
  useRef,
  useState,
  type WheelEvent,
} from "react";
import { cn } from "@/components/cn";
import { Button } from "@/components/ui/button";
import { Card } from "@/components/ui/card";
import { inputClasses } from "@/components/ui/field-frame";
import { Spinner } from "@/components/ui/spinner";
import { texts } from "@/texts";
import { asText, LEVELS, type LogLevel, type LogLine, type LogStream, MOST_LINES, select } from "./log-buffer";
import { searchQuery, useLog } from "./use-log";

const route = getRouteApi("/app/manage/plugins/$pluginId");
const STREAMS = ["all", "stdout", "stderr", "build", "platform"] as const;
const NEAR_END_PX = 60;
const LINE_PX = 20;
const UP_KEYS = new Set(["ArrowUp", "PageUp", "Home"]);
const time = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });

/** Milliseconds without a key after which Nimbus looks through the whole log; what is here is filtered at once. */
const PAUSE_MS = 400;

function useSettled(text: string): string {
  const [settled, setSettled] = useState(text);
  useEffect(() => {
    const timer = setTimeout(() => setSettled(text), PAUSE_MS);
    return () => clearTimeout(timer);
  }, [text]);
  return settled;
}

function fetchFile(name: string, url: string): void {
  const link = document.createElement("a");
  link.href = url;
  link.download = `${name}.log`;
  link.click();
}

function save(name: string, lines: readonly LogLine[]): void {
  const url = URL.createObjectURL(new Blob([asText(lines)], { type: "text/plain" }));
  fetchFile(name, url);
  URL.revokeObjectURL(url);
}

export default function Logs() {
  const { pluginId } = route.useParams();
  const [stream, setStream] = useState<LogStream | "all">("all");
  const [filter, setFilter] = useState("");
  const [level, setLevel] = useState<LogLevel | "">("");
  const search = { level, text: useSettled(filter) };
  const { lines, status, clear } = useLog(pluginId, search);
  const [wrap, setWrap] = useState(true);
  const [follow, setFollow] = useState(true);
  const text = useDeferredValue(filter);
  const shown = useMemo(() => select(lines, stream, text), [lines, stream, text]);

  return (
    <Card className="grid gap-4 p-0 sm:p-0">
      <div className="flex flex-wrap items-center gap-2 px-4 pt-4">
        <input
          type="search"
          value={filter}
          onChange={(event) => setFilter(event.target.value)}
          placeholder={texts.logs.filter}
          aria-label={texts.logs.filter}
          className={cn(inputClasses, "h-9 w-full sm:w-60")}
        />
        <select
          value={stream}
          onChange={(event) => setStream(event.target.value as LogStream | "all")}
          aria-label={texts.logs.stream}
          className={cn(inputClasses, "h-9 w-auto")}
        >
          {STREAMS.map((name) => (
            <option key={name} value={name}>
              {texts.logs.streams[name]}
            </option>
          ))}
        </select>
        <select
          value={level}
          onChange={(event) => setLevel(event.target.value as LogLevel | "")}
          aria-label={texts.logs.level}
          className={cn(inputClasses, "h-9 w-auto")}
        >
          <option value="">{texts.logs.anyLevel}</option>
          {LEVELS.map((name) => (
            <option key={name} value={name}>
              {texts.logs.levels[name]}
            </option>
          ))}
        </select>
        <div className="ml-auto flex flex-wrap gap-1">
          <Toggle
            pressed={follow}
            onPress={() => setFollow(!follow)}
            icon={ArrowDownToLine}
            text={texts.logs.follow}
          />
          <Toggle pressed={wrap} onPress={() => setWrap(!wrap)} icon={WrapText} text={texts.logs.wrap} />
          <Button
            variant="ghost"
            size="icon-small"
            title={texts.logs.clear}
            aria-label={texts.logs.clear}
            onClick={clear}
          >
            <Eraser aria-hidden="true" />
          </Button>
          <Button
            variant="ghost"
            size="icon-small"
            title={texts.logs.download}
            aria-label={texts.logs.download}
            disabled={shown.length === 0}
            onClick={() =>
              // Nimbus has more than is here; only where a line came from is known here alone.
              stream === "all"
                ? fetchFile(pluginId, `/api/admin/plugins/${pluginId}/logs/download?${searchQuery(search)}`)
                : save(pluginId, shown)
            }
          >
            <Download aria-hidden="true" />
          </Button>
        </div>
      </div>
      <Lines name={pluginId} lines={shown} wrap={wrap} follow={follow} onFollow={setFollow}>
        {lines.length > 0 || (status === "open" && (level || filter)) ? (
          texts.logs.noMatch
        ) : status === "open" ? (
          texts.logs.empty
        ) : (
          <Spinner label={status === "connecting" ? texts.logs.connecting : texts.logs.broken} />
        )}
      </Lines>
      <p className="flex flex-wrap gap-x-3 px-4 pb-3 text-[0.8125rem] text-muted">
        <span>{texts.logs.count(shown.length, lines.length)}</span>
        {lines.length >= MOST_LINES && <span>{texts.logs.limited(MOST_LINES)}</span>}
        {status === "broken" && <span className="text-danger">{texts.logs.broken}</span>}
      </p>
    </Card>
  );
}

interface ToggleProps {
  pressed: boolean;
  onPress: () => void;
  icon: typeof Download;
  text: string;
}

function Toggle({ pressed, onPress, icon: Icon, text }: ToggleProps) {
  return (
    <Button
      variant="ghost"
      size="small"
      aria-pressed={pressed}
      onClick={onPress}
      className="aria-pressed:bg-accent-soft aria-pressed:text-accent"
    >
      <Icon aria-hidden="true" />
      {text}
    </Button>
  );
}

interface LinesProps {
  name: string;
  lines: readonly LogLine[];
  wrap: boolean;
  follow: boolean;
  onFollow: (follow: boolean) => void;
  /** Stands there while there is no line. */
  children: React.ReactNode;
}

/** The log's box. Only the lines on the screen are in the page, however many there are. */
function Lines({ name, lines, wrap, follow, onFollow, children }: LinesProps) {
  const box = useRef<HTMLDivElement>(null);
  const virtualizer = useVirtualizer({
    count: lines.length,
    getScrollElement: () => box.current,
    estimateSize: () => LINE_PX,
    overscan: 30,
    getItemKey: (index) => lines[index]?.cursor ?? index,
  });

  // biome-ignore lint/correctness/useExhaustiveDependencies: another way of wrapping makes every height another
  useEffect(() => virtualizer.measure(), [wrap, virtualizer]);
  // biome-ignore lint/correctness/useExhaustiveDependencies: new lines and wrapping move the end
  useEffect(() => {
    if (follow && lines.length > 0) virtualizer.scrollToIndex(lines.length - 1, { align: "end" });
  }, [lines, follow, wrap, virtualizer]);

  const scrolled = (event: WheelEvent | KeyboardEvent | TouchEvent) => {
    const element = box.current;
    if (!element) return;
    const up = "deltaY" in event ? event.deltaY < 0 : "key" in event ? UP_KEYS.has(event.key) : true;
    const room = element.scrollHeight - element.scrollTop - element.clientHeight;
    // A person who reads further up stops following; one who comes back to the end resumes it.
    if ("key" in event && event.key === "End") onFollow(true);
    else if (up && follow && element.scrollHeight > element.clientHeight) onFollow(false);
    else if (!up && !follow && room < NEAR_END_PX) onFollow(true);
  };
  return (
    <div
      ref={box}
      role="log"
      aria-live="off"
      aria-label={texts.logs.label(name)}
      // biome-ignore lint/a11y/noNoninteractiveTabindex: a box that scrolls has to be reachable by keyboard
      tabIndex={0}
      onWheel={scrolled}
      onKeyDown={scrolled}
      onTouchMove={scrolled}
      className="h-[52dvh] min-h-72 overflow-auto border-y bg-sunken py-2 font-mono text-xs leading-5 outline-offset-[-2px]"
    >
      {lines.length === 0 ? (
        <p className="grid h-full place-items-center font-sans text-sm text-muted">{children}</p>
      ) : (
        <div className="relative min-w-full" style={{ height: virtualizer.getTotalSize() }}>
          {virtualizer.getVirtualItems().map((item) => {
            const line = lines[item.index];
            return (
              line && (
                <div
                  key={item.key}
                  ref={virtualizer.measureElement}
                  data-index={item.index}
                  className={cn("absolute top-0 left-0", wrap ? "w-full" : "min-w-full")}
                  style={{ transform: `translateY(${item.start}px)` }}
                >
                  <Line line={line} wrap={wrap} />
                </div>
              )
            );
          })}
        </div>
      )}
    </div>
  );
}

const TONES: Record<LogStream, string> = {
  stdout: "",
  stderr: "text-danger",
  build: "text-muted",
  platform: "text-accent",
};

const LEVEL_TONES: Partial<Record<LogLevel, string>> = {
  debug: "text-muted",
  warning: "text-warning",
  error: "text-danger",
  critical: "text-danger font-bold",
};

const Line = memo(function Line({ line, wrap }: { line: LogLine; wrap: boolean }) {
  return (
    <div className="flex gap-3 px-4 hover:bg-surface">
      <time dateTime={line.at ?? undefined} className="hidden shrink-0 text-muted select-none sm:block">
        {line.at ? time.format(new Date(line.at)) : "--:--:--"}
      </time>
      <span
        className={cn(
          "min-w-0 flex-1",
          (line.level && LEVEL_TONES[line.level]) || TONES[line.stream],
          wrap ? "break-words whitespace-pre-wrap" : "whitespace-pre",
        )}
      >
        {line.text}
      </span>
    </div>
  );
});
