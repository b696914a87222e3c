import { type ReactNode, useEffect } from "react";
import { useWindowRows } from "./use-window-rows";

export interface VirtualRowsProps<Row> {
  label: string;
  rows: readonly Row[];
  rowKey: (row: Row) => string;
  /** Pixels; all rows are the same. */
  height: number;
  children: (row: Row) => ReactNode;
  /** Called when the end comes near, to read more. */
  onEnd?: () => void;
}

const AHEAD = 20;

/** A long list of which only what is on the screen is in the page. Scrolls with the page. */
export function VirtualRows<Row>({ label, rows, rowKey, height, children, onEnd }: VirtualRowsProps<Row>) {
  const { list, virtualizer, margin, onFocus } = useWindowRows<HTMLUListElement>(rows.length, height, (index) => {
    const row = rows[index];
    return row ? rowKey(row) : String(index);
  });
  const shown = virtualizer.getVirtualItems();
  const last = virtualizer.range?.endIndex ?? 0;
  useEffect(() => {
    if (rows.length > 0 && last >= rows.length - AHEAD) onEnd?.();
  }, [last, rows.length, onEnd]);
  return (
    <ul
      ref={list}
      aria-label={label}
      className="relative"
      style={{ height: virtualizer.getTotalSize() }}
      onFocus={onFocus}
    >
      {shown.map((item) => {
        const row = rows[item.index];
        return (
          row && (
            <li
              key={item.key}
              data-index={item.index}
              aria-setsize={rows.length}
              aria-posinset={item.index + 1}
              className="absolute inset-x-0 top-0"
              style={{ height, transform: `translateY(${item.start - margin}px)` }}
            >
              {children(row)}
            </li>
          )
        );
      })}
    </ul>
  );
}
