import { infiniteQueryOptions, type QueryKey } from "@tanstack/react-query";

/** A page of a cursor-paginated list. */
export interface CursorPage<Item> {
  items: Item[];
  next?: string | null;
}

/** A list that is read page by page, as far as somebody looks; its data is everything that was read. */
export const pagedQuery = <Item>(
  queryKey: QueryKey,
  page: (cursor: string | undefined, signal: AbortSignal) => Promise<CursorPage<Item>>,
) =>
  infiniteQueryOptions({
    queryKey,
    queryFn: ({ pageParam, signal }) => page(pageParam ?? undefined, signal),
    initialPageParam: null as string | null,
    getNextPageParam: (last) => last.next ?? null,
    select: (read) => read.pages.flatMap((page) => page.items),
  });
