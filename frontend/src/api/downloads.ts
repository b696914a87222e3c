import { queryOptions } from "@tanstack/react-query";
import { unwrap } from "./client";
import {
  type Download,
  type DownloadProvider,
  downloadsAct,
  downloadsCreate,
  downloadsDelete,
  downloadsList,
  downloadsProviders,
  downloadsQueue,
  downloadsUpdate,
} from "./generated";
import { pagedQuery } from "./paging";

export type { Download, DownloadProvider };
export type DownloadAction = "pause" | "resume" | "cancel" | "retry";

const PAGE = 100;

/** What has not ended, in the order in which it is done. */
export const queueQuery = pagedQuery<Download>(["downloads", "queue"], (cursor, signal) =>
  unwrap(downloadsQueue({ query: { limit: PAGE, ...(cursor && { cursor }) }, signal })),
);

const ENDED = new Set<Download["state"]>(["completed", "failed", "canceled"]);
export const hasEnded = (download: Download): boolean => ENDED.has(download.state);

/** All downloads, newest first; those that have ended are the history. */
export const historyQuery = pagedQuery<Download>(["downloads", "history"], (cursor, signal) =>
  unwrap(downloadsList({ query: { limit: PAGE, ...(cursor && { cursor }) }, signal })),
);

export const providersQuery = queryOptions({
  queryKey: ["downloads", "providers"],
  queryFn: async ({ signal }) => (await unwrap(downloadsProviders({ signal }))).items,
});

export const addDownload = (url: string, provider: string) =>
  unwrap(downloadsCreate({ body: { url, ...(provider && { provider }) } }));

export const actOn = (id: string, action: DownloadAction) =>
  unwrap(downloadsAct({ path: { download_id: id, action } }));

export const moveTo = (id: string, position: number) =>
  unwrap(downloadsUpdate({ path: { download_id: id }, body: { position } }));

export const forget = (id: string) => unwrap(downloadsDelete({ path: { download_id: id } }));
