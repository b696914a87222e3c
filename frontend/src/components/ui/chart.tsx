import { useId } from "react";
import { texts } from "@/texts";
import { exactTime } from "../relative-time";

export interface Point {
  at: string;
  value: number | null;
}

export interface ChartProps {
  title: string;
  points: readonly Point[];
  /** A value in words, with its unit. */
  say: (value: number) => string;
}

const WIDTH = 600;
const HEIGHT = 120;

/** The line through the points as SVG; a gap where there is no value. Pure. */
export function pathOf(points: readonly Point[], top: number): string {
  const times = points.map((point) => Date.parse(point.at));
  const begin = times[0] ?? 0;
  const span = Math.max((times.at(-1) ?? 0) - begin, 1);
  let drawing = false;
  let path = "";
  points.forEach(({ value }, index) => {
    if (value === null) {
      drawing = false;
      return;
    }
    const x = (((times[index] ?? 0) - begin) / span) * WIDTH;
    const y = HEIGHT - (top > 0 ? Math.min(value / top, 1) : 0) * HEIGHT;
    path += `${drawing ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`;
    drawing = true;
  });
  return path;
}

/** A course over time. In words it says the newest value and the highest, which is what the picture is looked at for. */
export function Chart({ title, points, say }: ChartProps) {
  const id = useId();
  const values = points.map((point) => point.value).filter((value): value is number => value !== null);
  const last = values.at(-1);
  const highest = Math.max(0, ...values);
  const top = highest * 1.1;
  const first = points[0];
  return (
    <figure aria-labelledby={id} className="grid grid-cols-1 gap-2">
      <figcaption id={id} className="flex flex-wrap items-baseline justify-between gap-x-4">
        <span className="text-sm font-medium">{title}</span>
        <span className="text-sm text-muted tabular-nums">
          {last === undefined ? "–" : say(last)}
          {values.length > 1 && ` · ${texts.common.highest(say(highest))}`}
        </span>
      </figcaption>
      <svg
        viewBox={`0 0 ${WIDTH} ${HEIGHT}`}
        preserveAspectRatio="none"
        aria-hidden="true"
        className="h-28 w-full overflow-visible rounded-lg bg-sunken text-accent"
      >
        <path
          d={pathOf(points, top)}
          fill="none"
          stroke="currentColor"
          strokeWidth="2"
          strokeLinejoin="round"
          vectorEffect="non-scaling-stroke"
        />
      </svg>
      {first && <p className="text-xs text-muted">{texts.common.since(exactTime(first.at))}</p>}
    </figure>
  );
}
