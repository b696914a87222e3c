import type { ListedPlugin, Manifest, PluginDetail, PluginState } from "@/api/plugins";

/** A plugin of a list, in a state; enabled unless that state says otherwise. */
export const listed = (id: string, state: PluginState, rest: Partial<ListedPlugin> = {}): ListedPlugin => ({
  id,
  name: id,
  version: "1.0.0",
  description: "",
  author: "",
  capabilities: [],
  enabled: state !== "disabled" && state !== "invalid",
  state,
  since: "2026-01-01T00:00:00Z",
  trusted: true,
  ...rest,
});

/** The same with everything that its own page shows; of its manifest only how it runs. */
export const detailed = (
  id: string,
  state: PluginState,
  { data = false, ...rest }: Partial<PluginDetail> & { data?: boolean } = {},
): PluginDetail => ({
  ...listed(id, state),
  source: `folder:${id}`,
  createdAt: "2026-01-01T00:00:00Z",
  updatedAt: "2026-01-01T00:00:00Z",
  manifest: { id, name: id, version: "1.0.0", runtime: { kind: "docker", data } } as unknown as Manifest,
  ...rest,
});
