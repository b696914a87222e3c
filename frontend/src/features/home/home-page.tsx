import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import { CircleCheck } from "lucide-react";
import { auditQuery } from "@/api/audit";
import { type ListedPlugin, pluginsQuery } from "@/api/plugins";
import { messageOf } from "@/api/problem";
import { systemQuery, type User } from "@/api/session";
import { Loaded } from "@/components/loaded";
import { PageHeader } from "@/components/page";
import { RelativeTime } from "@/components/relative-time";
import { Alert } from "@/components/ui/alert";
import { Button } from "@/components/ui/button";
import { Card } from "@/components/ui/card";
import { Heading } from "@/components/ui/heading";
import { Trouble } from "@/features/plugins/failure";
import { StageProgress } from "@/features/plugins/stage-progress";
import { inOrder, matchesFilter, needsAttention, stageOf } from "@/features/plugins/state";
import { StateBadge } from "@/features/plugins/state-badge";
import { useRestart } from "@/features/plugins/use-changes";
import { usePolling } from "@/live/use-live";
import { FilledSlot, useSlotFills } from "@/plugin-host/slots";
import { texts } from "@/texts";
import { DownloadsCard } from "./downloads-card";
import { EventsCard } from "./events-card";
import { FirstSteps } from "./first-steps";
import { TrafficCard } from "./traffic-card";

const route = getRouteApi("/app");
const { home } = texts;

/** How Nimbus is, and what to do about it. */
export default function HomePage() {
  const { user } = route.useRouteContext();
  const admin = user.role === "admin";
  const polling = usePolling();
  const plugins = useQuery({ ...pluginsQuery(admin), refetchInterval: polling });
  return (
    <>
      <PageHeader title={home.title} lead={home.lead(user.username)} />
      <Loaded query={plugins} failed={texts.plugins.loadFailed}>
        {(list) => (
          <div className="grid grid-cols-1 gap-5">
            <Figures plugins={list} />
            {list.every((plugin) => !plugin.enabled) && <FirstSteps admin={admin} />}
            <div className="grid grid-cols-1 gap-5 xl:grid-cols-2 3xl:grid-cols-3">
              <Attention plugins={list.filter((plugin) => needsAttention(plugin.state))} admin={admin} />
              <UnderWay plugins={list.filter((plugin) => stageOf(plugin.state) !== null)} />
              {admin && <TrafficCard plugins={list} />}
              <DownloadsCard />
              {admin && <EventsCard />}
              {admin && <Recent />}
              <Widgets user={user} />
            </div>
          </div>
        )}
      </Loaded>
    </>
  );
}

function Figures({ plugins }: { plugins: readonly ListedPlugin[] }) {
  const { data: system } = useQuery(systemQuery);
  const figures = (["running", "attention", "off"] as const).map((filter) => ({
    name: texts.plugins.filters[filter],
    value: String(plugins.filter((plugin) => matchesFilter(plugin.state, filter)).length),
  }));
  const registry = {
    name: home.registry,
    value: system ? (system.registryReachable ? home.reachable : home.unreachable) : "…",
  };
  return (
    <dl aria-label={home.health} className="grid grid-cols-2 gap-3 sm:gap-5 lg:grid-cols-4">
      {[...figures, registry].map(({ name, value }) => (
        <div key={name} className="flex flex-col-reverse rounded-card border bg-surface p-4 shadow-card sm:p-5">
          <dt className="text-sm text-muted">{name}</dt>
          <dd className="text-2xl font-semibold tracking-tight tabular-nums">{value}</dd>
        </div>
      ))}
    </dl>
  );
}

function Attention({ plugins, admin }: { plugins: readonly ListedPlugin[]; admin: boolean }) {
  return (
    <Card aria-labelledby="attention-heading">
      <Heading id="attention-heading">{home.attention}</Heading>
      {plugins.length === 0 ? (
        <p className="mt-3 flex items-center gap-2 text-muted">
          <CircleCheck aria-hidden="true" className="size-5 text-positive" />
          {home.allWell}
        </p>
      ) : (
        <ul className="mt-3 grid gap-4">
          {inOrder(plugins).map((plugin) => (
            <AttentionItem key={plugin.id} plugin={plugin} admin={admin} />
          ))}
        </ul>
      )}
    </Card>
  );
}

function AttentionItem({ plugin, admin }: { plugin: ListedPlugin; admin: boolean }) {
  const restart = useRestart(plugin.id);
  return (
    <li className="grid grid-cols-1 gap-2.5">
      <div className="flex flex-wrap items-center gap-2">
        <Link
          to="/manage/plugins/$pluginId"
          params={{ pluginId: plugin.id }}
          className="min-w-0 truncate rounded font-medium hover:underline"
        >
          {plugin.name}
        </Link>
        <StateBadge state={plugin.state} />
        <RelativeTime at={plugin.since} className="text-sm text-muted" />
      </div>
      <Trouble plugin={plugin} admin={admin} />
      {restart.isError && (
        <Alert level="error" urgent>
          {messageOf(restart.error)}
        </Alert>
      )}
      {admin && (
        <div className="flex flex-wrap gap-2">
          {plugin.enabled && (
            <Button
              size="small"
              busy={restart.isPending}
              aria-label={home.restart(plugin.name)}
              onClick={() => restart.mutate()}
            >
              {restart.isPending ? texts.failure.restarting : texts.failure.restart}
            </Button>
          )}
          <Button size="small" asChild>
            <Link
              to="/manage/plugins/$pluginId/doctor"
              params={{ pluginId: plugin.id }}
              aria-label={home.examine(plugin.name)}
            >
              {texts.doctor.tab}
            </Link>
          </Button>
        </div>
      )}
    </li>
  );
}

function UnderWay({ plugins }: { plugins: readonly ListedPlugin[] }) {
  if (plugins.length === 0) return null;
  return (
    <Card aria-labelledby="under-way-heading">
      <Heading id="under-way-heading">{home.underWay}</Heading>
      <ul className="mt-3 grid gap-5">
        {inOrder(plugins).map((plugin) => (
          <li key={plugin.id} className="grid grid-cols-1 gap-2">
            <span className="font-medium">{plugin.name}</span>
            <StageProgress plugin={plugin} />
          </li>
        ))}
      </ul>
    </Card>
  );
}

const RECENT = 8;

function Recent() {
  const query = useInfiniteQuery(auditQuery({}, RECENT));
  return (
    <Card aria-labelledby="recent-heading">
      <div className="flex items-center justify-between gap-3">
        <Heading id="recent-heading">{home.recent}</Heading>
        <Link to="/audit" className="rounded text-sm font-medium text-accent hover:underline">
          {home.everything}
        </Link>
      </div>
      <Loaded query={query} failed={texts.audit.loadFailed}>
        {(rows) => (
          <ul className="mt-3 grid gap-2.5 text-sm">
            {rows.slice(0, RECENT).map((row) => (
              <li key={row.id} className="flex flex-wrap items-baseline gap-x-3">
                <span className="min-w-0 flex-1 break-words">
                  <span className="font-medium">{row.actorName || row.actor}</span>{" "}
                  <code className="font-mono text-[0.8125rem]">{row.action}</code>{" "}
                  {row.target !== row.actor && <span className="text-muted break-words">{row.target}</span>}
                </span>
                <RelativeTime at={row.at} className="text-muted" />
              </li>
            ))}
          </ul>
        )}
      </Loaded>
    </Card>
  );
}

function Widgets({ user }: { user: User }) {
  return useSlotFills("home/widget/v1").map((fill) => (
    <Card key={fill.key} aria-label={fill.manifest.name}>
      <FilledSlot fill={fill} user={user} />
    </Card>
  ));
}
