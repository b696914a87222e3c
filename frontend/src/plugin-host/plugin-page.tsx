import { useQuery } from "@tanstack/react-query";
import { getRouteApi, Link, useRouterState } from "@tanstack/react-router";
import { CircleOff, Compass, Hourglass, LayoutTemplate, Power, Unplug } from "lucide-react";
import { useMemo } from "react";
import { type PluginDetail, pluginQuery, type UiManifest, uiManifestsQuery } from "@/api/plugins";
import { ApiProblem, messageOf } from "@/api/problem";
import type { User } from "@/api/session";
import { PagePending } from "@/components/layout/root";
import { useDocumentTitle } from "@/components/route-focus";
import { Alert } from "@/components/ui/alert";
import { Button } from "@/components/ui/button";
import { EmptyState } from "@/components/ui/empty-state";
import { Spinner } from "@/components/ui/spinner";
import { Trouble } from "@/features/plugins/failure";
import { SwitchNeeds } from "@/features/plugins/needs-dialog";
import { StageProgress } from "@/features/plugins/stage-progress";
import { isBusy, isServing, needsAttention, stageOf } from "@/features/plugins/state";
import { useSetEnabled } from "@/features/plugins/use-changes";
import { usePolling } from "@/live/use-live";
import { texts } from "@/texts";
import { matchPage } from "./match";
import { firstPage } from "./navigation";
import { PluginSlot } from "./plugin-slot";

const route = getRouteApi("/app/plugins/$pluginId/$");

/** Everything below `/plugins/<id>`: the plugin's own page, or why there is none right now. */
export default function PluginPage() {
  const { pluginId } = route.useParams();
  const { user } = route.useRouteContext();
  const polling = usePolling();
  const manifests = useQuery({ ...uiManifestsQuery, refetchInterval: polling });
  const plugin = useQuery({ ...pluginQuery(pluginId), refetchInterval: polling });
  const manifest = manifests.data?.find((item) => item.pluginId === pluginId);

  if (plugin.error instanceof ApiProblem && plugin.error.status === 404) {
    return <Unknown title={texts.plugin.notFoundTitle} lead={texts.plugin.notFoundLead(pluginId)} />;
  }
  const failed = plugin.error ?? manifests.error;
  if (failed && (!plugin.data || !manifests.data)) {
    return (
      <EmptyState
        icon={Unplug}
        level={1}
        title={texts.plugin.loadFailed}
        actions={
          <Button variant="primary" onClick={() => void Promise.all([plugin.refetch(), manifests.refetch()])}>
            {texts.common.retry}
          </Button>
        }
      >
        <p>{messageOf(failed)}</p>
      </EmptyState>
    );
  }
  if (!plugin.data || !manifests.data) return <PagePending />;
  if (manifest && isServing(plugin.data.state)) {
    return <Running manifest={manifest} plugin={plugin.data} user={user} />;
  }
  return <NotRunning plugin={plugin.data} user={user} loading={manifests.isFetching} />;
}

function Unknown({ title, lead }: { title: string; lead: string }) {
  useDocumentTitle(title);
  return (
    <EmptyState
      icon={Compass}
      level={1}
      title={title}
      actions={
        <Button variant="primary" asChild>
          <Link to="/">{texts.notFound.home}</Link>
        </Button>
      }
    >
      <p>{lead}</p>
    </EmptyState>
  );
}

function Running({ manifest, plugin, user }: { manifest: UiManifest; plugin: PluginDetail; user: User }) {
  const prefix = `/plugins/${plugin.id}`;
  const pathname = useRouterState({ select: (state) => state.location.pathname });
  const path = pathname.startsWith(prefix) ? pathname.slice(prefix.length) || "/" : "/";
  const match = useMemo(() => matchPage(manifest.pages ?? [], path), [manifest.pages, path]);
  useDocumentTitle(match ? match.page.title : texts.host.noPageTitle);

  if (!match) {
    const first = firstPage(manifest);
    return (
      <EmptyState
        icon={Compass}
        level={1}
        title={texts.host.noPageTitle}
        actions={
          first !== null && (
            <Button variant="primary" asChild>
              <Link to="/plugins/$pluginId/$" params={{ pluginId: plugin.id, _splat: first.slice(1) }}>
                {texts.host.startPage}
              </Link>
            </Button>
          )
        }
      >
        <p>{texts.host.noPageLead(plugin.name)}</p>
      </EmptyState>
    );
  }
  return (
    // Takes the focus after a navigation; the heading inside belongs to the plugin.
    <section data-route-focus tabIndex={-1} aria-label={match.page.title}>
      <PluginSlot
        manifest={manifest}
        name={plugin.name}
        user={user}
        wanted={{ kind: "pages", exportName: match.page.export ?? "default", at: match.page.path }}
        path={path}
        params={match.params}
        title={match.page.title}
        page
      />
    </section>
  );
}

function headline(plugin: PluginDetail): string {
  if (plugin.state === "disabled") return texts.host.offTitle(plugin.name);
  if (plugin.state === "stopping") return texts.host.stoppingTitle(plugin.name);
  if (plugin.state === "invalid") return texts.host.invalidTitle(plugin.name);
  if (needsAttention(plugin.state) && !isServing(plugin.state)) return texts.host.failedTitle(plugin.name);
  if (isServing(plugin.state)) return texts.host.noUiTitle(plugin.name);
  return texts.host.busyTitle(plugin.name);
}

/** Off, on its way, failed, or without pages. Becomes the page by itself when the plugin is ready. */
function NotRunning({ plugin, user, loading }: { plugin: PluginDetail; user: User; loading: boolean }) {
  const change = useSetEnabled(plugin.id);
  const title = headline(plugin);
  const off = plugin.state === "disabled";
  const serving = isServing(plugin.state);
  const admin = user.role === "admin";
  useDocumentTitle(title);
  // Ready, and the list of pages is being read again: the page is a moment away.
  if (serving && loading) return <PagePending />;
  return (
    <EmptyState
      icon={serving ? LayoutTemplate : off ? Power : isBusy(plugin.state) ? Hourglass : CircleOff}
      level={1}
      title={title}
      actions={
        <>
          {off && admin && (
            <Button variant="primary" busy={change.isPending} onClick={() => change.mutate({ enabled: true })}>
              {change.isPending ? texts.plugins.askedOn : texts.plugins.enable(plugin.name)}
            </Button>
          )}
          <Button asChild>
            <Link to="/manage/plugins/$pluginId" params={{ pluginId: plugin.id }}>
              {texts.plugins.manage(plugin.name)}
            </Link>
          </Button>
        </>
      }
    >
      {off && <p>{admin ? texts.host.offLead : texts.host.offUser}</p>}
      {serving && <p>{texts.host.noUiLead}</p>}
      {stageOf(plugin.state) !== null && (
        <>
          <p>{texts.host.busyLead}</p>
          <StageProgress plugin={plugin} className="mt-3 w-80 max-w-full text-left" />
        </>
      )}
      {plugin.state === "stopping" && <Spinner className="mx-auto" />}
      <div className="text-left text-text">
        <Trouble plugin={plugin} admin={admin} />
      </div>
      {change.failure && (
        <Alert level="error" urgent className="text-left">
          {messageOf(change.failure)}
        </Alert>
      )}
      <div className="text-left text-text empty:hidden">
        <SwitchNeeds name={plugin.name} change={change} />
      </div>
    </EmptyState>
  );
}
