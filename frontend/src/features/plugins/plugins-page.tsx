import { useQuery } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import { LayoutGrid, ListChecks, PackageOpen, PackagePlus, RefreshCw, Rows3, SearchX, Unplug } from "lucide-react";
import { useDeferredValue, useEffect, useMemo, useRef, useState } from "react";
import { type ListedPlugin, pluginsQuery, uiManifestsQuery } from "@/api/plugins";
import { messageOf } from "@/api/problem";
import { PageHeader } from "@/components/page";
import { Alert } from "@/components/ui/alert";
import { Button } from "@/components/ui/button";
import { EmptyState } from "@/components/ui/empty-state";
import { Skeleton } from "@/components/ui/skeleton";
import { usePolling } from "@/live/use-live";
import { firstPage } from "@/plugin-host/navigation";
import { texts } from "@/texts";
import { BulkBar, BulkResult } from "./bulk-bar";
import { PluginCards } from "./plugin-cards";
import { PluginFilters } from "./plugin-filters";
import { PluginTable } from "./plugin-table";
import { matching, type PluginsSearch, sorted } from "./search";
import { useAnnouncedStates } from "./use-announced-states";
import { useBulk } from "./use-bulk";
import { useRescan } from "./use-changes";
import { useSelection } from "./use-selection";
import { useView, type View } from "./use-view";

const app = getRouteApi("/app");

export default function PluginsPage() {
  const { user } = app.useRouteContext();
  const admin = user.role === "admin";
  const polling = usePolling();
  const list = useQuery({ ...pluginsQuery(admin), refetchInterval: polling });
  const rescan = useRescan();
  useAnnouncedStates(list.data);
  return (
    <>
      <PageHeader
        title={texts.plugins.title}
        lead={texts.plugins.lead}
        actions={
          admin && (
            <>
              <Button asChild>
                <Link to="/install">
                  <PackagePlus aria-hidden="true" />
                  {texts.nav.install}
                </Link>
              </Button>
              <Button busy={rescan.isPending} onClick={() => rescan.mutate()}>
                {!rescan.isPending && <RefreshCw aria-hidden="true" />}
                {rescan.isPending ? texts.plugins.rescanning : texts.plugins.rescan}
              </Button>
            </>
          )
        }
      />
      {rescan.isError && (
        <Alert level="error" urgent className="mb-5">
          {messageOf(rescan.error)}
        </Alert>
      )}
      {list.isPending && (
        <div role="status" className="grid grid-cols-1 gap-5 md:grid-cols-2 2xl:grid-cols-3 3xl:grid-cols-4">
          <span className="sr-only">{texts.common.loading}</span>
          {[0, 1, 2].map((key) => (
            <Skeleton key={key} className="h-56 rounded-card" />
          ))}
        </div>
      )}
      {list.isError && !list.data && (
        <EmptyState
          icon={Unplug}
          title={texts.plugins.loadFailed}
          actions={
            <Button variant="primary" busy={list.isFetching} onClick={() => void list.refetch()}>
              {texts.common.retry}
            </Button>
          }
        >
          <p>{messageOf(list.error)}</p>
        </EmptyState>
      )}
      {list.data?.length === 0 && (
        <EmptyState icon={PackageOpen} title={texts.plugins.emptyTitle}>
          <p>{admin ? texts.plugins.emptyLead : texts.plugins.emptyUser}</p>
        </EmptyState>
      )}
      {list.data && list.data.length > 0 && <Browser plugins={list.data} admin={admin} />}
    </>
  );
}

const route = getRouteApi("/app/plugins");

/** The plugins that there are: found, looked at in one way or the other, marked and switched. */
function Browser({ plugins, admin }: { plugins: readonly ListedPlugin[]; admin: boolean }) {
  const search = route.useSearch();
  const navigate = route.useNavigate();
  const manifests = useQuery(uiManifestsQuery);
  const [view, setView] = useView();
  const [marking, setMarking] = useState(false);
  const opener = useRef<HTMLButtonElement>(null);
  const bulk = useBulk();
  const narrow = (change: { [Key in keyof PluginsSearch]: PluginsSearch[Key] | undefined }) =>
    // What is taken out comes as undefined, and what the address says is read through `parseSearch` anyway.
    void navigate({
      search: (before) => ({ ...before, ...change }) as PluginsSearch,
      replace: true,
      resetScroll: false,
    });

  const words = useDeferredValue((search.q ?? "").trim());
  const sort = search.sort ?? "name";
  const found = useMemo(
    () => matching(sorted(plugins, sort), { q: words, ...(search.capability && { capability: search.capability }) }),
    [plugins, sort, words, search.capability],
  );
  const shown = useMemo(() => matching(found, { state: search.state ?? "all" }), [found, search.state]);
  const pages = useMemo(
    () => new Map((manifests.data ?? []).map((manifest) => [manifest.pluginId, firstPage(manifest)])),
    [manifests.data],
  );
  const { selection, chosen } = useSelection(shown);
  const stop = () => {
    setMarking(false);
    selection.all(false);
    opener.current?.focus();
  };
  useEffect(() => {
    if (!marking) return;
    const leave = (event: KeyboardEvent) => {
      const inside = event.target instanceof HTMLElement && event.target.closest("dialog, input[type=search]");
      if (event.key === "Escape" && !inside) stop();
    };
    addEventListener("keydown", leave);
    return () => removeEventListener("keydown", leave);
  });
  const List = view === "table" ? PluginTable : PluginCards;
  return (
    <>
      <PluginFilters
        plugins={plugins}
        found={found}
        search={search}
        onChange={narrow}
        count={texts.plugins.count(shown.length, plugins.length)}
      >
        {admin && (
          <Button
            ref={opener}
            size="small"
            aria-pressed={marking}
            onClick={() => (marking ? stop() : setMarking(true))}
            className="aria-pressed:bg-accent-soft aria-pressed:text-accent"
          >
            <ListChecks aria-hidden="true" />
            {texts.bulk.start}
          </Button>
        )}
        <Views view={view} onView={setView} />
      </PluginFilters>
      {bulk.run && (
        <BulkResult
          run={bulk.run}
          plugins={plugins}
          onStart={(...what) => void bulk.start(...what)}
          onClose={bulk.close}
        />
      )}
      {shown.length === 0 ? (
        <EmptyState
          icon={SearchX}
          title={texts.plugins.noMatchTitle}
          actions={
            <Button onClick={() => narrow({ q: undefined, state: undefined, capability: undefined })}>
              {texts.plugins.clearFilters}
            </Button>
          }
        >
          <p>{texts.plugins.noMatchLead}</p>
        </EmptyState>
      ) : (
        <List
          plugins={shown}
          admin={admin}
          pages={pages}
          selection={marking ? selection : null}
          sort={sort}
          onSort={(next) => narrow({ sort: next === "name" ? undefined : next })}
        />
      )}
      {marking && (
        <BulkBar
          chosen={chosen}
          shown={shown.length}
          selection={selection}
          onStart={(verb, which) => {
            stop();
            void bulk.start(verb, which);
          }}
          onDone={stop}
        />
      )}
    </>
  );
}

const VIEWS = { cards: LayoutGrid, table: Rows3 } as const;

function Views({ view, onView }: { view: View; onView: (view: View) => void }) {
  return (
    <fieldset aria-label={texts.plugins.view} className="flex rounded-lg border">
      {(["cards", "table"] as const).map((name) => {
        const Icon = VIEWS[name];
        return (
          <button
            key={name}
            type="button"
            aria-pressed={view === name}
            aria-label={texts.plugins.views[name]}
            title={texts.plugins.views[name]}
            onClick={() => onView(name)}
            className="grid size-8 place-items-center rounded-lg text-muted hover:text-text aria-pressed:bg-accent-soft aria-pressed:text-accent"
          >
            <Icon aria-hidden="true" className="size-4" />
          </button>
        );
      })}
    </fieldset>
  );
}
