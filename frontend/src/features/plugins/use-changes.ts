import { type QueryClient, useMutation, useQueryClient } from "@tanstack/react-query";
import {
  type ListedPlugin,
  type Others,
  type PluginDetail,
  pluginQuery,
  restartPlugin,
  scanPlugins,
  setEnabled,
  uiManifestsQuery,
} from "@/api/plugins";
import { notify } from "@/components/toasts";
import { texts } from "@/texts";
import { needsOf } from "./needs";

const LIST = ["plugins", "list"] as const;

function edit(client: QueryClient, id: string, change: (plugin: ListedPlugin) => Partial<PluginDetail>): void {
  client.setQueryData<ListedPlugin[]>(LIST, (plugins) =>
    plugins?.map((plugin) => (plugin.id === id ? { ...plugin, ...change(plugin) } : plugin)),
  );
  client.setQueryData<PluginDetail>(pluginQuery(id).queryKey, (plugin) => plugin && { ...plugin, ...change(plugin) });
}

/** An answer can arrive after events that are newer than it: the state entered later is the true one. */
function settle(client: QueryClient, answer: PluginDetail): void {
  edit(client, answer.id, (plugin) =>
    Date.parse(answer.since) >= Date.parse(plugin.since) ? answer : { enabled: answer.enabled },
  );
}

interface Wish {
  enabled: boolean;
  others?: Others;
}

/**
 * Switch a plugin on or off.
 *
 * What a person asked for shows at once; the state does not: it changes when Nimbus says so. A refusal takes the
 * switch back. One that is about other plugins is in `needs`, for a person to decide; any other in `failure`.
 */
export function useSetEnabled(id: string) {
  const client = useQueryClient();
  const change = useMutation({
    mutationKey: ["plugins", "enabled", id],
    mutationFn: ({ enabled, others }: Wish) => setEnabled(id, enabled, others),
    onMutate: async ({ enabled }) => {
      await client.cancelQueries({ queryKey: LIST });
      await client.cancelQueries({ queryKey: pluginQuery(id).queryKey });
      edit(client, id, () => ({ enabled }));
    },
    onSuccess: ({ plugin }) => settle(client, plugin),
    onError: () => client.invalidateQueries({ queryKey: ["plugins"] }),
    onSettled: () => client.invalidateQueries({ queryKey: uiManifestsQuery.queryKey }),
  });
  const needs = needsOf(change.error);
  return { ...change, needs, failure: needs ? null : change.error };
}

/** The same for one of many, outside a component of its own. */
export async function askEnabled(client: QueryClient, id: string, enabled: boolean, others?: Others): Promise<void> {
  try {
    settle(client, (await setEnabled(id, enabled, others)).plugin);
  } catch (error) {
    void client.invalidateQueries({ queryKey: ["plugins"] });
    throw error;
  } finally {
    void client.invalidateQueries({ queryKey: uiManifestsQuery.queryKey });
  }
}

export function useRestart(id: string) {
  const client = useQueryClient();
  return useMutation({
    mutationFn: () => restartPlugin(id),
    onSuccess: ({ plugin }) => settle(client, plugin),
    onError: () => client.invalidateQueries({ queryKey: ["plugins"] }),
  });
}

/** Look through the plugins folder again. */
export function useRescan() {
  const client = useQueryClient();
  return useMutation({
    mutationFn: scanPlugins,
    onSuccess: async (found) => {
      const count = (names: string[] | undefined) => names?.length ?? 0;
      notify(
        texts.plugins.scanned(count(found.added), count(found.updated), count(found.removed), count(found.invalid)),
      );
      await client.invalidateQueries({ queryKey: ["plugins"] });
    },
  });
}
