import { queryOptions } from "@tanstack/react-query";
import { unwrap } from "./client";
import { adminTraffic, type Traffic } from "./generated";

export type { Traffic };

/** Requests to all plugins in the last hour; counted to the minute. */
export const lastHourQuery = queryOptions({
  queryKey: ["traffic", "all", "1h"],
  queryFn: ({ signal }) => unwrap(adminTraffic({ query: { span: "1h" }, signal })),
  refetchInterval: 30_000,
});
