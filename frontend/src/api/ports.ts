import { queryOptions } from "@tanstack/react-query";
import { unwrap } from "./client";
import { adminCompatPortsDelete, adminCompatPortsList, adminCompatPortsPut, type CompatPort } from "./generated";

export type { CompatPort };

/** Ports at which plugins look like another product, with what they are mapped to. */
export const portsQuery = queryOptions({
  queryKey: ["ports"],
  queryFn: async ({ signal }) => (await unwrap(adminCompatPortsList({ signal }))).items,
});

export const mapPort = (port: number, pluginId: string) =>
  unwrap(adminCompatPortsPut({ path: { port }, body: { pluginId } }));
export const freePort = (port: number) => unwrap(adminCompatPortsDelete({ path: { port } }));
