import { queryOptions } from "@tanstack/react-query";
import { unwrap } from "./client";
import {
  type Media,
  type MediaCreate,
  type MediaUpdate,
  mediaCreate,
  mediaDelete,
  mediaGet,
  mediaList,
  mediaUpdate,
} from "./generated";
import { pagedQuery } from "./paging";

export type { Media, MediaCreate };

export interface MediaFilter {
  search?: string;
  kind?: string;
  year?: number;
}

const PAGE = 200;

export const mediaQuery = (filter: MediaFilter) =>
  pagedQuery<Media>(["media", "list", filter], (cursor, signal) =>
    unwrap(mediaList({ query: { limit: PAGE, ...filter, ...(cursor && { cursor }) }, signal })),
  );

export const mediaItemQuery = (id: string) =>
  queryOptions({
    queryKey: ["media", "item", id],
    queryFn: ({ signal }) => unwrap(mediaGet({ path: { media_id: id }, signal })),
  });

export const createMedia = (body: MediaCreate) => unwrap(mediaCreate({ body }));

/** Changes an item unless somebody else did since it was read. */
export const updateMedia = ({ id, etag }: Media, body: MediaUpdate) =>
  unwrap(mediaUpdate({ path: { media_id: id }, body, headers: { "if-match": etag } }));

export const deleteMedia = ({ id, etag }: Media) =>
  unwrap(mediaDelete({ path: { media_id: id }, headers: { "if-match": etag } }));
