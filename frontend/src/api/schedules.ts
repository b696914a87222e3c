import { queryOptions } from "@tanstack/react-query";
import { unwrap } from "./client";
import {
  adminSchedulesList,
  adminSchedulesRun,
  adminSchedulesRuns,
  type ScheduleRun,
  type ScheduleStatus,
} from "./generated";
import { pagedQuery } from "./paging";

export type { ScheduleRun, ScheduleStatus };

/** A plugin's schedules, with their next time and last run. */
export const schedulesQuery = (id: string) =>
  queryOptions({
    queryKey: ["plugins", "schedules", id],
    queryFn: async ({ signal }) => (await unwrap(adminSchedulesList({ path: { plugin_id: id }, signal }))).items,
    refetchInterval: 5_000,
  });

export const runSchedule = (id: string, schedule: string) =>
  unwrap(adminSchedulesRun({ path: { plugin_id: id, schedule } }));

/** Runs of a schedule, newest first. */
export const runsQuery = (id: string, schedule: string) => ({
  ...pagedQuery<ScheduleRun>(["plugins", "schedules", id, schedule, "runs"], (cursor, signal) =>
    unwrap(
      adminSchedulesRuns({
        path: { plugin_id: id, schedule },
        query: { limit: 20, ...(cursor && { cursor }) },
        signal,
      }),
    ),
  ),
  refetchInterval: 5_000,
});
