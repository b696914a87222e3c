import { queryOptions } from "@tanstack/react-query";
import { unwrap } from "./client";
import {
  adminPluginsList,
  adminPluginsRestart,
  adminPluginsScan,
  adminPluginsTransitions,
  type FieldProblem,
  type Manifest,
  type PluginDependency,
  type PluginDependent,
  type PluginDetail,
  type PluginSummary,
  pluginsDisable,
  pluginsEnable,
  pluginsGet,
  pluginsList,
  type Reason,
  type Transition,
  type UiManifest,
  uiManifests,
} from "./generated";

export type {
  FieldProblem,
  Manifest,
  PluginDependency,
  PluginDependent,
  PluginDetail,
  PluginSummary,
  Reason,
  Transition,
  UiManifest,
};
export type PluginState = PluginSummary["state"];

/** What a list shows of a plugin; administrators also get what is wrong with a manifest. */
export type ListedPlugin = PluginSummary & Partial<Pick<PluginDetail, "errors">>;

const PAGE = 200;
const PAGES_AT_MOST = 50;

async function everyPage<Item, Cursor = string>(
  page: (cursor?: Cursor) => Promise<{ items: Item[]; next?: Cursor | null }>,
) {
  const items: Item[] = [];
  let cursor: Cursor | undefined;
  for (let count = 0; count < PAGES_AT_MOST; count += 1) {
    const answer = await page(cursor);
    items.push(...answer.items);
    if (!answer.next) break;
    cursor = answer.next;
  }
  return items;
}

/** All plugins. Administrators read the detailed list, because only that one holds manifest errors. */
export const pluginsQuery = (admin: boolean) =>
  queryOptions({
    queryKey: ["plugins", "list"],
    queryFn: ({ signal }): Promise<ListedPlugin[]> =>
      admin
        ? everyPage((cursor) => unwrap(adminPluginsList({ query: cursor ? { cursor } : {}, signal })))
        : everyPage((cursor) => unwrap(pluginsList({ query: { limit: PAGE, ...(cursor && { cursor }) }, signal }))),
  });

export const pluginQuery = (id: string) =>
  queryOptions({
    queryKey: ["plugins", "detail", id],
    queryFn: ({ signal }) => unwrap(pluginsGet({ path: { plugin_id: id }, signal })),
  });

/** The latest changes of state, newest first, and whether older ones were left out. */
export interface Transitions {
  items: Transition[];
  partial: boolean;
}

const latestOf = (items: Transition[], partial = false): Transitions => ({
  items: items.slice(0, PAGE),
  partial: partial || items.length > PAGE,
});

/**
 * A plugin's latest changes of state.
 *
 * The server tells them oldest first, and they are asked for at each change: what was read is not read again, unless
 * the server no longer knows the last of it, as after a restore.
 */
export const transitionsQuery = (id: string) => {
  const queryKey = ["plugins", "transitions", id];
  return queryOptions({
    queryKey,
    queryFn: async ({ signal, client }) => {
      const from = (start: number) =>
        everyPage<Transition, number>((after = start) =>
          unwrap(adminPluginsTransitions({ path: { plugin_id: id }, query: { after, limit: PAGE }, signal })),
        );
      const known = client.getQueryData<Transitions>(queryKey);
      const last = known?.items[0];
      if (known && last) {
        const [again, ...since] = await from(last.id - 1);
        if (again?.id === last.id && again.at === last.at)
          return latestOf([...since.reverse(), ...known.items], known.partial);
      }
      return latestOf((await from(0)).reverse());
    },
  });
};

/** The pages and navigation entries of every plugin that serves right now. */
export const uiManifestsQuery = queryOptions({
  queryKey: ["ui", "manifests"],
  queryFn: async ({ signal }) => (await unwrap(uiManifests({ signal }))).items,
});

/** The plugins that it needs, or that need it, are switched as it is, or it is whatever that means for them. */
export type Others = "too" | "regardless";

/**
 * Ask for a plugin to be on or off. The answer shows where it stands; the event stream tells the rest.
 *
 * Without a word about others it is refused where they stand in the way.
 */
export const setEnabled = (id: string, enabled: boolean, others?: Others) =>
  unwrap(
    enabled
      ? pluginsEnable({ path: { plugin_id: id }, query: { withDependencies: others === "too" || undefined } })
      : pluginsDisable({
          path: { plugin_id: id },
          query: { cascade: others === "too" || undefined, force: others === "regardless" || undefined },
        }),
  );

export const restartPlugin = (id: string) => unwrap(adminPluginsRestart({ path: { plugin_id: id } }));

export const scanPlugins = () => unwrap(adminPluginsScan());
