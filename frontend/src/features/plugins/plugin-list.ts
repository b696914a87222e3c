import type { ListedPlugin } from "@/api/plugins";
import type { Sort } from "./search";

/** Which plugins are marked, for a change to all of them. */
export interface Selection {
  has: (id: string) => boolean;
  /** Mark or unmark one; with `range` everything from the one before. */
  toggle: (id: string, range: boolean) => void;
  all: (on: boolean) => void;
  count: number;
}

export interface ListProps {
  plugins: readonly ListedPlugin[];
  admin: boolean;
  /** First page of each plugin that has one to open. */
  pages: ReadonlyMap<string, string | null>;
  /** While plugins can be marked. */
  selection: Selection | null;
  sort: Sort;
  onSort: (sort: Sort) => void;
}
