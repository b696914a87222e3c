import { keepPreviousData, queryOptions } from "@tanstack/react-query";
import { unwrap } from "./client";
import {
  adminPluginsConfig,
  adminPluginsDoctor,
  adminPluginsMetrics,
  adminPluginsRollback,
  adminPluginsSetConfig,
  adminPluginsTraffic,
  adminPluginsUninstall,
  adminPluginsUpgrade,
  adminPluginsVersions,
  type Diagnosis,
  type PluginConfig,
  type PluginMetrics,
  type PluginVersion,
  type RollbackRequest,
  type UpgradeRequest,
  type UsageSample,
} from "./generated";
import type { Others } from "./plugins";

export type { Diagnosis, PluginConfig, PluginMetrics, UsageSample };

/** A plugin's settings with their schema; secrets only as set or not. */
export const configQuery = (id: string) =>
  queryOptions({
    queryKey: ["plugins", "config", id],
    queryFn: ({ signal }) => unwrap(adminPluginsConfig({ path: { plugin_id: id }, signal })),
    // A form is filled in from it: it is not exchanged under somebody's hands.
    staleTime: Number.POSITIVE_INFINITY,
    refetchOnMount: "always",
  });

export const saveConfig = (id: string, values: Record<string, unknown>) =>
  unwrap(adminPluginsSetConfig({ path: { plugin_id: id }, body: { values } }));

/** What stands between the plugin and working, looked at now. Takes seconds, so it is asked for and not kept. */
export const doctorQuery = (id: string) =>
  queryOptions({
    queryKey: ["plugins", "doctor", id],
    queryFn: ({ signal }) => unwrap(adminPluginsDoctor({ path: { plugin_id: id }, signal })),
    gcTime: 0,
    staleTime: 0,
    refetchOnWindowFocus: false,
  });

type Span = "1h" | "6h" | "24h";

/** What was asked of the plugin over time. */
export const trafficQuery = (id: string, span: Span) =>
  queryOptions({
    queryKey: ["plugins", "traffic", id, span],
    queryFn: ({ signal }) => unwrap(adminPluginsTraffic({ path: { plugin_id: id }, query: { span }, signal })),
    refetchInterval: 10_000,
    placeholderData: keepPreviousData,
  });

/** What the plugin uses, and used over time. */
export const metricsQuery = (id: string, span: Span) =>
  queryOptions({
    queryKey: ["plugins", "metrics", id, span],
    queryFn: ({ signal }) => unwrap(adminPluginsMetrics({ path: { plugin_id: id }, query: { span }, signal })),
    placeholderData: keepPreviousData,
    refetchInterval: 10_000,
  });

export type { PluginVersion, UpgradeRequest };

/** The version that is installed, then those that are kept, wait for consent, or were rejected. */
export const versionsQuery = (id: string) =>
  queryOptions({
    queryKey: ["plugins", "versions", id],
    queryFn: async ({ signal }) => (await unwrap(adminPluginsVersions({ path: { plugin_id: id }, signal }))).items,
  });

/** Take it off the list; its data stay unless they are to be deleted. Refused where others need it, as a switch is. */
export const uninstallPlugin = (id: string, deleteData: boolean, others?: Others) =>
  unwrap(
    adminPluginsUninstall({
      path: { plugin_id: id },
      query: { deleteData, cascade: others === "too" || undefined, force: others === "regardless" || undefined },
    }),
  );

/** Seconds that a change of versions is waited for; one that takes longer goes on and shows in the state. */
const CHANGE_WAIT = 60;

export const upgradePlugin = (id: string, body: UpgradeRequest) =>
  unwrap(adminPluginsUpgrade({ path: { plugin_id: id }, query: { wait: CHANGE_WAIT }, body }));

export const rollbackPlugin = (id: string, body: RollbackRequest) =>
  unwrap(adminPluginsRollback({ path: { plugin_id: id }, query: { wait: CHANGE_WAIT }, body }));
