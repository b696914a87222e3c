import { type KeyboardEvent, type PointerEvent, useId, useState } from "react";
import { texts } from "@/texts";
import { exactTime } from "../relative-time";
import { DataTable } from "./data-table";
import {
  dotsOf,
  HEIGHT,
  levelOf,
  lineOf,
  nearest,
  placeX,
  placeY,
  roundTop,
  ticksOf,
  type Values,
  WIDTH,
} from "./time-scale";

export interface Series {
  name: string;
  tone: "accent" | "danger" | "warning" | "positive" | "muted";
  values: Values;
}

export interface TimeChartProps {
  title: string;
  /** When each value was, ISO 8601; as many as each series has. */
  times: readonly string[];
  series: readonly Series[];
  /** A value in words, with its unit. */
  say: (value: number) => string;
  /** The most that may be; drawn as a line. */
  limit?: number | null;
  /** The scale goes in powers of two. */
  binary?: boolean;
}

const TONES = {
  accent: "text-accent",
  danger: "text-danger",
  warning: "text-warning",
  positive: "text-positive",
  muted: "text-muted",
} as const;
/** Beside the colour, so that it is not the only thing that tells lines apart. */
const DASHES = ["", "6 3", "2 3", "10 3 2 3"];
const minutes = { hour: "2-digit", minute: "2-digit" } as const;
const clock = new Intl.DateTimeFormat("en-GB", minutes);
/** For courses of so few minutes that two moments would have the same name. */
const fineClock = new Intl.DateTimeFormat("en-GB", { ...minutes, second: "2-digit" });
const FINE_MS = 10 * 60_000;
const { chart } = texts;

/**
 * Courses over time, to be read by eye, by pointer, by keyboard and as a table.
 *
 * The plot is a slider over its moments: arrow keys and the pointer choose one, and its values are said.
 */
export function TimeChart({ title, times, series, say, limit, binary = false }: TimeChartProps) {
  const id = useId();
  const count = times.length;
  const [chosen, setChosen] = useState<number | null>(null);
  // Until somebody chooses, the newest moment of which something is known.
  const newest = times.findLastIndex((_, index) => series.some(({ values }) => (values[index] ?? null) !== null));
  const at = Math.min(chosen ?? (newest < 0 ? count - 1 : newest), count - 1);
  const highest = Math.max(limit ?? 0, ...series.flatMap(({ values }) => values.map((value) => value ?? 0)));
  const top = roundTop(highest, binary);
  const span = Date.parse(times.at(-1) ?? "") - Date.parse(times[0] ?? "");
  const clockTime = (index: number) => (span < FINE_MS ? fineClock : clock).format(new Date(times[index] ?? 0));
  const wordsOf = (values: Values, index: number) => {
    const value = values[index] ?? null;
    return value === null ? chart.none : say(value);
  };
  const spoken = `${exactTime(times[at] ?? "")}: ${series.map(({ name, values }) => `${name} ${wordsOf(values, at)}`).join(", ")}`;

  const press = (event: KeyboardEvent) => {
    const to = { ArrowLeft: at - 1, ArrowDown: at - 1, ArrowRight: at + 1, ArrowUp: at + 1, Home: 0, End: count - 1 }[
      event.key
    ];
    if (event.key === "Escape") setChosen(null);
    if (to === undefined) return;
    event.preventDefault();
    setChosen(Math.max(0, Math.min(count - 1, to)));
  };
  const point = (event: PointerEvent) => {
    const box = event.currentTarget.getBoundingClientRect();
    if (box.width > 0) setChosen(nearest((event.clientX - box.left) / box.width, count));
  };
  return (
    <figure aria-labelledby={id} className="grid grid-cols-1 gap-2">
      <figcaption className="flex flex-wrap items-baseline justify-between gap-x-4 gap-y-1">
        <span id={id} className="text-sm font-medium">
          {title}
        </span>
        <span className="text-xs text-muted tabular-nums">
          {chosen === null && at === count - 1 ? chart.now : clockTime(at)}
        </span>
      </figcaption>
      <ul className="flex flex-wrap gap-x-4 gap-y-1 text-sm">
        {series.map(({ name, tone, values }, index) => (
          <li key={name} className="flex items-center gap-1.5">
            <svg viewBox="0 0 20 4" aria-hidden="true" className={`h-1 w-5 ${TONES[tone]}`}>
              <path d="M0 2L20 2" stroke="currentColor" strokeWidth="3" strokeDasharray={DASHES[index % 4]} />
            </svg>
            <span className="text-muted">{name}</span>
            <span className="font-medium tabular-nums">{wordsOf(values, at)}</span>
          </li>
        ))}
        {limit ? <li className="text-muted">{chart.limit(say(limit))}</li> : null}
      </ul>
      <div className="grid grid-cols-[auto_minmax(0,1fr)] gap-x-2">
        <div
          aria-hidden="true"
          className="flex min-w-14 flex-col justify-between whitespace-nowrap text-right text-xs text-muted tabular-nums"
        >
          <span className="-mt-2">{say(top)}</span>
          <span>{say(top / 2)}</span>
          <span className="-mb-2">{say(0)}</span>
        </div>
        <div
          role="slider"
          tabIndex={0}
          aria-label={chart.moment(title)}
          aria-valuemin={0}
          aria-valuemax={count - 1}
          aria-valuenow={at}
          aria-valuetext={spoken}
          onKeyDown={press}
          onPointerMove={point}
          onPointerDown={point}
          onPointerLeave={() => setChosen(null)}
          className="touch-pan-y rounded"
        >
          <svg
            viewBox={`0 0 ${WIDTH} ${HEIGHT}`}
            preserveAspectRatio="none"
            aria-hidden="true"
            className="block h-36 w-full overflow-visible"
          >
            {[0, 0.5, 1].map((share) => (
              <path
                key={share}
                d={`M0 ${HEIGHT * share}L${WIDTH} ${HEIGHT * share}`}
                {...stroke}
                className="text-border"
              />
            ))}
            {limit ? (
              <path
                d={`M0 ${placeY(limit, top)}L${WIDTH} ${placeY(limit, top)}`}
                {...stroke}
                strokeDasharray="3 3"
                className="text-warning"
              />
            ) : null}
            {chosen !== null && (
              <path d={`M${placeX(at, count)} 0L${placeX(at, count)} ${HEIGHT}`} {...stroke} className="text-muted" />
            )}
            {series.map(({ name, tone, values }, index) => (
              <g key={name} className={TONES[tone]}>
                <path d={levelOf(values, top)} {...stroke} strokeOpacity="0.45" strokeDasharray="2 5" />
                <path d={lineOf(values, top)} {...stroke} strokeWidth="2" strokeDasharray={DASHES[index % 4]} />
                <path d={dotsOf(values, top)} {...stroke} strokeWidth="8" />
              </g>
            ))}
          </svg>
        </div>
        <div aria-hidden="true" className="col-start-2 flex justify-between text-xs text-muted tabular-nums">
          {ticksOf(count).map((index) => (
            <span key={index} className="only:mx-auto">
              {clockTime(index)}
            </span>
          ))}
        </div>
      </div>
      <details className="text-sm">
        <summary className="w-fit cursor-pointer rounded text-muted">{chart.asTable}</summary>
        <div className="mt-2 max-h-64 overflow-y-auto">
          <DataTable
            label={title}
            rows={times.map((time, index) => ({ time, index })).reverse()}
            rowKey={(row) => row.time}
            columns={[
              { title: chart.time, className: "whitespace-nowrap text-muted", cell: (row) => exactTime(row.time) },
              ...series.map(({ name, values }) => ({
                title: name,
                className: "tabular-nums",
                cell: (row: { index: number }) => wordsOf(values, row.index),
              })),
            ]}
          />
        </div>
      </details>
    </figure>
  );
}

const stroke = {
  fill: "none",
  stroke: "currentColor",
  strokeWidth: "1",
  strokeLinejoin: "round",
  strokeLinecap: "round",
  vectorEffect: "non-scaling-stroke",
} as const;
