/** Where a chart's values and times lie. Pure. */

export const WIDTH = 600;
export const HEIGHT = 140;

export type Values = readonly (number | null)[];

/** The end of the scale: round, in tens or for bytes in powers of two, and never below what is drawn. */
export function roundTop(highest: number, binary = false): number {
  if (!(highest > 0)) return 1;
  if (binary) {
    const unit = 2 ** Math.floor(Math.log2(highest));
    return highest <= unit ? unit : highest <= unit * 1.5 ? unit * 1.5 : unit * 2;
  }
  const unit = 10 ** Math.floor(Math.log10(highest));
  const step = [1, 2, 2.5, 5, 10].find((factor) => highest <= factor * unit * (1 + 1e-9)) ?? 10;
  return step * unit;
}

export const placeX = (index: number, count: number): number =>
  count < 2 ? WIDTH / 2 : (index / (count - 1)) * WIDTH;
export const placeY = (value: number, top: number): number => HEIGHT - Math.min(value / top, 1) * HEIGHT;

const at = (values: Values, index: number, top: number): string =>
  `${placeX(index, values.length).toFixed(1)} ${placeY(values[index] ?? 0, top).toFixed(1)}`;
const known = (values: Values, index: number): boolean => (values[index] ?? null) !== null;

/** The line through the values; a gap where there is none. What stands alone is drawn by {@link dotsOf}. */
export function lineOf(values: Values, top: number): string {
  let path = "";
  values.forEach((_, index) => {
    const [before, after] = [known(values, index - 1), known(values, index + 1)];
    if (known(values, index) && (before || after)) path += `${before ? "L" : "M"}${at(values, index, top)}`;
  });
  return path;
}

/** Values that have no neighbour, as lines of no length: what draws them has round ends. */
export function dotsOf(values: Values, top: number): string {
  let path = "";
  values.forEach((_, index) => {
    if (!known(values, index) || known(values, index - 1) || known(values, index + 1)) return;
    path += `M${at(values, index, top)}L${at(values, index, top)}`;
  });
  return path;
}

/** How high the only value stands, across the whole width; nothing where there are several. */
export function levelOf(values: Values, top: number): string {
  const only = values.filter((value) => value !== null);
  if (only.length !== 1) return "";
  const height = placeY(only[0] ?? 0, top).toFixed(1);
  return `M0 ${height}L${WIDTH} ${height}`;
}

/** The index of the point that is nearest to a share of the width. */
export const nearest = (share: number, count: number): number =>
  Math.max(0, Math.min(count - 1, Math.round(share * (count - 1))));

/** The moments that are named below the plot: the first, the middle and the last, each once. */
export const ticksOf = (count: number): number[] => [...new Set([0, Math.floor((count - 1) / 2), count - 1])];
