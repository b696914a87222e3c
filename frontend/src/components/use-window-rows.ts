import { defaultRangeExtractor, useWindowVirtualizer } from "@tanstack/react-virtual";
import { type FocusEvent, type RefObject, useLayoutEffect, useRef, useState } from "react";

/** Rows beyond the screen that are in the page too, so that the tab key finds its way. */
const OVERSCAN = 4;

/**
 * A list that scrolls with the page, of which only what is near the screen is in it. Rows are measured, because what
 * they hold decides how high they are. A row that has the focus stays, however far one scrolls.
 */
export function useWindowRows<Element extends HTMLElement>(
  count: number,
  estimate: number,
  keyOf: (index: number) => string,
  gap = 0,
) {
  const list: RefObject<Element | null> = useRef<Element>(null);
  const [margin, setMargin] = useState(0);
  const [focused, setFocused] = useState<number | null>(null);
  // What stands above the list changes its height now and then, and says so to nobody.
  useLayoutEffect(() => {
    const element = list.current;
    if (!element) return;
    const top = Math.round(element.getBoundingClientRect().top + window.scrollY);
    // A pixel more or less is rounding, and would be drawn again for ever.
    setMargin((before) => (Math.abs(before - top) > 1 ? top : before));
  });
  const virtualizer = useWindowVirtualizer({
    count,
    estimateSize: () => estimate,
    gap,
    overscan: OVERSCAN,
    scrollMargin: margin,
    getItemKey: keyOf,
    rangeExtractor: (range) => {
      const shown = defaultRangeExtractor(range);
      if (focused === null || focused >= count || shown.includes(focused)) return shown;
      return [...shown, focused].sort((a, b) => a - b);
    },
  });
  return {
    list,
    virtualizer,
    margin,
    onFocus: (event: FocusEvent) => {
      const row = (event.target as HTMLElement).closest<HTMLElement>("[data-index]");
      setFocused(row ? Number(row.dataset.index) : null);
    },
  };
}
