import { queryOptions } from "@tanstack/react-query";
import { unwrap } from "./client";
import {
  adminPluginsInstall,
  adminPluginsInstalls,
  adminPluginsPermissions,
  adminPluginsSetPermissions,
  type InstallJob,
  type InstallRequest,
  type InstallResult,
  type PluginPermissions,
} from "./generated";

export type { InstallJob, InstallRequest, InstallResult, PluginPermissions };

/** Seconds that the call itself waits; what takes longer goes on, and its progress comes by the event stream. */
const WAIT = 2;

export const installPlugin = (body: InstallRequest): Promise<InstallResult> =>
  unwrap(adminPluginsInstall({ body, query: { wait: WAIT } }));

export const installsQuery = queryOptions({
  queryKey: ["installs"],
  queryFn: async ({ signal }) => (await unwrap(adminPluginsInstalls({ signal }))).items,
});

export const permissionsQuery = (id: string) =>
  queryOptions({
    queryKey: ["plugins", "permissions", id],
    queryFn: ({ signal }) => unwrap(adminPluginsPermissions({ path: { plugin_id: id }, signal })),
  });

export const grantPermissions = (id: string, grant: string[]) =>
  unwrap(adminPluginsSetPermissions({ path: { plugin_id: id }, body: { grant } }));
