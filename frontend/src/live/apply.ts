import type { QueryClient } from "@tanstack/react-query";
import { type InstallJob, installsQuery } from "@/api/installs";
import {
  type ListedPlugin,
  type PluginDetail,
  type PluginSummary,
  pluginQuery,
  uiManifestsQuery,
} from "@/api/plugins";
import { type System, systemQuery } from "@/api/session";
import { isServing } from "@/features/plugins/state";
import type { LiveEventName } from "./connection";

const LIST = ["plugins", "list"] as const;

/** Bring the cache to where an event says the world is. Resolves when what had to be read again has been read. */
export async function applyEvent(client: QueryClient, name: LiveEventName, data: unknown): Promise<void> {
  switch (name) {
    case "plugin":
      return applyPlugin(client, data as PluginSummary);
    case "plugin-removed":
      return removePlugin(client, (data as { id: string }).id);
    case "system":
      client.setQueryData<System>(systemQuery.queryKey, data as System);
      return;
    case "event":
      return applyCloudEvent(client, data as { type?: string });
    case "install":
      client.setQueryData<InstallJob[]>(installsQuery.queryKey, (jobs) => jobs && withJob(jobs, data as InstallJob));
      return;
    case "install-ended":
      await client.invalidateQueries({ queryKey: installsQuery.queryKey });
      return;
    case "reset":
      await client.invalidateQueries({ predicate: ({ queryKey }) => queryKey[0] !== "session" && !isHeld(queryKey) });
  }
}

/** What is not exchanged under somebody's hands, or only read when it is asked for. Both are read when they are opened. */
const isHeld = ([area, part]: readonly unknown[]): boolean =>
  area === "plugins" && (part === "config" || part === "doctor");

async function applyPlugin(client: QueryClient, summary: PluginSummary): Promise<void> {
  const detailKey = pluginQuery(summary.id).queryKey;
  const known: PluginSummary | undefined =
    client.getQueryData<ListedPlugin[]>(LIST)?.find((plugin) => plugin.id === summary.id) ??
    client.getQueryData<PluginDetail>(detailKey);
  const put = () => {
    client.setQueryData<ListedPlugin[]>(LIST, (plugins) => plugins && withPlugin(plugins, summary));
    client.setQueryData<PluginDetail>(detailKey, (detail) => detail && { ...detail, ...fresh(summary) });
  };
  if (known && isNextLine(known, summary)) return put();

  // A read that began before this event would put an older state over it: it begins anew. A first read goes on, or
  // events that come quicker than it would keep it from ever ending; the event is put over what it brings.
  const reads = [LIST, detailKey].filter((key) => client.getQueryState(key)?.fetchStatus === "fetching");
  const cut = reads.filter((key) => client.getQueryData(key) !== undefined);
  const first = reads.filter((key) => !cut.includes(key));
  await Promise.all(cut.map((queryKey) => client.cancelQueries({ queryKey })));
  put();
  const again: Promise<unknown>[] = [
    client.invalidateQueries({ queryKey: ["plugins", "transitions", summary.id] }),
    ...cut.map((queryKey) => client.invalidateQueries({ queryKey })),
    ...first.map((queryKey) => client.invalidateQueries({ queryKey }).then(put)),
  ];
  if (!known || known.state !== summary.state || known.version !== summary.version) {
    again.push(readConcerned(client, summary.id));
  }
  // The summary has no manifest and no errors: those are read again when the manifest may have changed.
  if (!known || known.version !== summary.version || known.state === "invalid" || summary.state === "invalid") {
    again.push(client.invalidateQueries({ queryKey: LIST }), client.invalidateQueries({ queryKey: detailKey }));
  }
  if (!known || isServing(known.state) !== isServing(summary.state) || known.version !== summary.version) {
    again.push(client.invalidateQueries({ queryKey: uiManifestsQuery.queryKey }));
  }
  await Promise.all(again);
}

/** It only says what it does now: of a build several times a second, and nothing for which anything is read again. */
const isNextLine = (known: PluginSummary, now: PluginSummary): boolean =>
  Boolean(known.progress && now.progress) &&
  known.since === now.since &&
  known.state === now.state &&
  known.version === now.version;

/** The details of other plugins say how those fare that they need, or that need them. */
const readConcerned = (client: QueryClient, id: string): Promise<void> =>
  client.invalidateQueries({
    queryKey: ["plugins", "detail"],
    predicate: ({ state }) => {
      const { dependencies = [], dependents = [] } = (state.data ?? {}) as Partial<PluginDetail>;
      return [...dependencies, ...dependents].some((one) => one.id === id);
    },
  });

/** Something happened: the lists that tell of it are read again, where somebody looks at them. */
async function applyCloudEvent(client: QueryClient, { type = "" }: { type?: string }): Promise<void> {
  const about = type.startsWith("io.nimbus.media.")
    ? [["media"]]
    : type.startsWith("io.nimbus.download.")
      ? [["downloads"]]
      : [];
  await Promise.all([["events"], ["audit"], ...about].map((queryKey) => client.invalidateQueries({ queryKey })));
}

function withJob(jobs: InstallJob[], job: InstallJob): InstallJob[] {
  const index = jobs.findIndex((one) => one.id === job.id);
  return index < 0 ? [job, ...jobs] : jobs.with(index, job);
}

async function removePlugin(client: QueryClient, id: string): Promise<void> {
  client.setQueryData<ListedPlugin[]>(LIST, (plugins) => plugins?.filter((plugin) => plugin.id !== id));
  client.removeQueries({ queryKey: ["plugins", "transitions", id] });
  await Promise.all([
    client.invalidateQueries({ queryKey: pluginQuery(id).queryKey }),
    readConcerned(client, id),
    client.invalidateQueries({ queryKey: uiManifestsQuery.queryKey }),
  ]);
}

/** Optional members that an event leaves out are gone, not unchanged. */
function fresh(summary: PluginSummary): PluginSummary {
  return { ...summary, reason: summary.reason ?? null, progress: summary.progress ?? null };
}

function withPlugin(plugins: ListedPlugin[], summary: PluginSummary): ListedPlugin[] {
  const index = plugins.findIndex((plugin) => plugin.id === summary.id);
  if (index < 0) return [...plugins, fresh(summary)];
  return plugins.with(index, { ...plugins[index], ...fresh(summary) });
}
