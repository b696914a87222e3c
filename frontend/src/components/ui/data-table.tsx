// biome-ignore-all lint/a11y/noRedundantRoles: browsers take them from parts of a table that are laid out as no table
import type { ReactNode } from "react";
import { cn } from "../cn";

export interface Column<Row> {
  title: string;
  cell: (row: Row) => ReactNode;
  className?: string;
  /** Its title is for screen readers only. */
  bare?: boolean;
}

export interface DataTableProps<Row> {
  label: string;
  columns: readonly Column<Row>[];
  rows: readonly Row[];
  rowKey: (row: Row) => string;
}

/** Of a cell in a narrow box. An empty one is not drawn, and stays for screen readers, who count the columns. */
const STACKED =
  "@max-lg:flex @max-lg:gap-3 @max-lg:py-1 @max-lg:pr-0 @max-lg:has-[>:empty]:sr-only @max-lg:data-title:before:drawn-title @max-lg:data-title:before:w-24 @max-lg:data-title:before:shrink-0 @max-lg:data-title:before:text-muted";

/**
 * A table. Where its box is narrow each row becomes a list of its cells, each with its title before it; what is wider
 * than the box all the same scrolls sideways within it.
 */
export function DataTable<Row>({ label, columns, rows, rowKey }: DataTableProps<Row>) {
  return (
    // A group and not a region: the card round it is the landmark.
    // biome-ignore lint/a11y/useSemanticElements: it is no group of fields
    <div
      role="group"
      // biome-ignore lint/a11y/noNoninteractiveTabindex: a box that scrolls has to be reachable by keyboard
      tabIndex={0}
      aria-label={label}
      className="@container relative -mx-1 overflow-x-auto px-1"
    >
      <table role="table" className="w-full text-left text-sm @max-lg:block">
        <thead role="rowgroup" className="text-muted @max-lg:sr-only">
          <tr role="row" className="border-b">
            {columns.map(({ title, bare, className }) => (
              <th
                key={title}
                role="columnheader"
                scope="col"
                className={cn("py-2 pr-4 font-medium whitespace-nowrap last:pr-0", className)}
              >
                {bare ? <span className="sr-only">{title}</span> : title}
              </th>
            ))}
          </tr>
        </thead>
        <tbody role="rowgroup" className="@max-lg:block">
          {rows.map((row) => (
            <tr key={rowKey(row)} role="row" className="border-b last:border-0 @max-lg:block @max-lg:py-2.5">
              {columns.map(({ title, cell, className, bare }) => (
                <td
                  key={title}
                  role="cell"
                  data-title={bare ? undefined : title}
                  className={cn("py-2.5 pr-4 align-middle last:pr-0", STACKED, className)}
                >
                  <div className="min-w-0 flex-1 empty:hidden @max-lg:wrap-anywhere">{cell(row)}</div>
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
