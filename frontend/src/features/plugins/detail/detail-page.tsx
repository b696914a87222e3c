import { useQuery } from "@tanstack/react-query";
import { getRouteApi, Link, Outlet, useMatchRoute } from "@tanstack/react-router";
import { ArrowLeft, ArrowUpRight, RotateCw, SearchX, Unplug } from "lucide-react";
import { useEffect, useRef } from "react";
import { pluginQuery, uiManifestsQuery } from "@/api/plugins";
import { ApiProblem, messageOf } from "@/api/problem";
import { PagePending } from "@/components/layout/root";
import { PageHeader } from "@/components/page";
import { PluginIcon } from "@/components/plugin-icon";
import { Alert } from "@/components/ui/alert";
import { Button } from "@/components/ui/button";
import { EmptyState } from "@/components/ui/empty-state";
import { usePolling } from "@/live/use-live";
import { firstPage } from "@/plugin-host/navigation";
import { texts } from "@/texts";
import { EnableSwitch } from "../enable-switch";
import { isServing } from "../state";
import { useAnnouncedStates } from "../use-announced-states";
import { useRestart, useSetEnabled } from "../use-changes";

const route = getRouteApi("/app/manage/plugins/$pluginId");

/** A plugin's own page in the dashboard: what it is, how it is, what it did. */
export default function DetailPage() {
  const { pluginId } = route.useParams();
  // A link leads from one plugin to another: what was asked of the one is not shown at the other.
  return <Detail key={pluginId} pluginId={pluginId} />;
}

function Detail({ pluginId }: { pluginId: string }) {
  const { user } = route.useRouteContext();
  const polling = usePolling();
  const { data: plugin, error, refetch } = useQuery({ ...pluginQuery(pluginId), refetchInterval: polling });
  const manifests = useQuery(uiManifestsQuery);
  const change = useSetEnabled(pluginId);
  const restart = useRestart(pluginId);
  useAnnouncedStates(plugin && [plugin]);

  if (!plugin || (error instanceof ApiProblem && error.status === 404)) {
    if (!error) return <PagePending />;
    const unknown = error instanceof ApiProblem && error.status === 404;
    return (
      <EmptyState
        icon={unknown ? SearchX : Unplug}
        level={1}
        title={unknown ? texts.plugin.notFoundTitle : texts.plugin.loadFailed}
        actions={
          unknown ? (
            <Button variant="primary" asChild>
              <Link to="/plugins">{texts.plugin.back}</Link>
            </Button>
          ) : (
            <Button variant="primary" onClick={() => void refetch()}>
              {texts.common.retry}
            </Button>
          )
        }
      >
        <p>{unknown ? texts.plugin.notFoundLead(pluginId) : messageOf(error)}</p>
      </EmptyState>
    );
  }

  const admin = user.role === "admin";
  const manifest = manifests.data?.find((item) => item.pluginId === pluginId);
  const page = manifest && isServing(plugin.state) ? firstPage(manifest) : null;
  const failed = change.failure ?? restart.error;
  return (
    <>
      <Link
        to="/plugins"
        className="mb-4 inline-flex items-center gap-1.5 rounded text-sm font-medium text-muted hover:text-text"
      >
        <ArrowLeft aria-hidden="true" className="size-4" />
        {texts.plugin.back}
      </Link>
      <PageHeader
        title={plugin.name}
        lead={plugin.description}
        mark={
          <span className="hidden size-14 shrink-0 place-items-center rounded-2xl bg-accent-soft text-accent sm:grid">
            <PluginIcon name={plugin.icon} className="size-7" />
          </span>
        }
        actions={
          <>
            {page !== null && (
              <Button asChild>
                <Link to="/plugins/$pluginId/$" params={{ pluginId, _splat: page.slice(1) }}>
                  {texts.plugins.openPage}
                  <ArrowUpRight aria-hidden="true" />
                </Link>
              </Button>
            )}
            {admin && plugin.enabled && (
              <Button busy={restart.isPending} onClick={() => restart.mutate()}>
                {!restart.isPending && <RotateCw aria-hidden="true" />}
                {restart.isPending ? texts.plugin.restarting : texts.plugin.restart}
              </Button>
            )}
            {admin && <EnableSwitch plugin={plugin} change={change} />}
          </>
        }
      />
      {failed && (
        <Alert level="error" urgent title={texts.plugins.changeFailed(plugin.name)} className="mb-5">
          {messageOf(failed)}
        </Alert>
      )}
      {admin && (
        <nav aria-label={texts.plugin.tabs} data-keep-focus className="mb-6 border-b">
          <ul className="-mb-px flex gap-6 overflow-x-auto">
            <Tab to="/manage/plugins/$pluginId" pluginId={pluginId} text={texts.plugin.overview} exact />
            <Tab to="/manage/plugins/$pluginId/settings" pluginId={pluginId} text={texts.settings.tab} />
            <Tab to="/manage/plugins/$pluginId/history" pluginId={pluginId} text={texts.plugin.history} />
            <Tab to="/manage/plugins/$pluginId/logs" pluginId={pluginId} text={texts.plugin.logs} />
            <Tab to="/manage/plugins/$pluginId/versions" pluginId={pluginId} text={texts.versions.tab} />
            <Tab to="/manage/plugins/$pluginId/metrics" pluginId={pluginId} text={texts.usage.tab} />
            <Tab to="/manage/plugins/$pluginId/events" pluginId={pluginId} text={texts.pluginEvents.tab} />
            <Tab to="/manage/plugins/$pluginId/doctor" pluginId={pluginId} text={texts.doctor.tab} />
            <Tab to="/manage/plugins/$pluginId/data" pluginId={pluginId} text={texts.data.tab} />
            <Tab to="/manage/plugins/$pluginId/danger" pluginId={pluginId} text={texts.danger.tab} />
          </ul>
        </nav>
      )}
      <Outlet />
    </>
  );
}

/** Scrolls the row of tabs, which is wider than a phone, now and when its width changes; returns what ends that. */
function keptInSight(tab: HTMLElement | null): (() => void) | undefined {
  const row = tab?.closest("ul");
  if (!tab || !row) return undefined;
  const observer = new ResizeObserver(() => {
    const middle = tab.offsetLeft - row.offsetLeft - (row.clientWidth - tab.offsetWidth) / 2;
    row.scrollLeft = Math.max(0, middle);
  });
  observer.observe(row);
  return () => observer.disconnect();
}

interface TabProps {
  to:
    | "/manage/plugins/$pluginId"
    | "/manage/plugins/$pluginId/settings"
    | "/manage/plugins/$pluginId/history"
    | "/manage/plugins/$pluginId/logs"
    | "/manage/plugins/$pluginId/versions"
    | "/manage/plugins/$pluginId/metrics"
    | "/manage/plugins/$pluginId/events"
    | "/manage/plugins/$pluginId/doctor"
    | "/manage/plugins/$pluginId/data"
    | "/manage/plugins/$pluginId/danger";
  pluginId: string;
  text: string;
  exact?: boolean;
}

function Tab({ to, pluginId, text, exact = false }: TabProps) {
  const link = useRef<HTMLAnchorElement>(null);
  const active = useMatchRoute()({ to, params: { pluginId }, fuzzy: !exact }) !== false;
  useEffect(() => {
    return active ? keptInSight(link.current) : undefined;
  }, [active]);
  return (
    <li>
      <Link
        ref={link}
        to={to}
        params={{ pluginId }}
        activeOptions={{ exact }}
        className="inline-flex h-10 items-center border-b-2 border-transparent font-medium whitespace-nowrap text-muted hover:text-text data-[status=active]:border-accent data-[status=active]:text-accent"
      >
        {text}
      </Link>
    </li>
  );
}
