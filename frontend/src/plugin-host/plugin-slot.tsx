import { useRouter } from "@tanstack/react-router";
import { TriangleAlert } from "lucide-react";
import { Suspense, use, useCallback, useMemo } from "react";
import type { UiManifest } from "@/api/plugins";
import { messageOf } from "@/api/problem";
import type { User } from "@/api/session";
import { Alert } from "@/components/ui/alert";
import { Button } from "@/components/ui/button";
import { EmptyState } from "@/components/ui/empty-state";
import { Spinner } from "@/components/ui/spinner";
import { SwitchNeeds } from "@/features/plugins/needs-dialog";
import { useSetEnabled } from "@/features/plugins/use-changes";
import { texts } from "@/texts";
import { useTheme } from "@/theme/theme";
import { PluginBoundary } from "./boundary";
import { BundleContractError, BundleLoadError, pickComponent, type Wanted } from "./bundle";
import { PluginContext } from "./context";
import { Framed } from "./framed";
import { bundles } from "./loader";
import { scopedApi } from "./scoped-api";
import type { PluginPageProps } from "./types";

export interface PluginSlotProps {
  manifest: UiManifest;
  /** The plugin's name for people. */
  name: string;
  user: User;
  wanted: Wanted;
  path?: string;
  params?: Readonly<Record<string, string>>;
  /** What the place is about, for the plugin: `{ media }` in a tab of a film. */
  context?: Readonly<Record<string, unknown>>;
  /** What it is called for screen readers where it has a frame of its own. */
  title?: string;
  /** It is the whole page, so its failure may take the page's heading. */
  page?: boolean;
}

const NOTHING = {};

/**
 * The one place where a plugin's component appears: loaded lazily, behind an error boundary, with a way to try
 * again and a way to be rid of it.
 */
export function PluginSlot({
  manifest,
  name,
  user,
  wanted,
  path = "/",
  params = NOTHING,
  context = NOTHING,
  title = name,
  page,
}: PluginSlotProps) {
  const { pluginId, version, bundleUrl } = manifest;
  const router = useRouter();
  const theme = useTheme();
  const api = useMemo(() => scopedApi(pluginId), [pluginId]);
  const navigate = useCallback<PluginPageProps["navigate"]>(
    (to, options) => {
      const url = new URL(to.replace(/^\/*/, "/"), location.origin);
      const href = `/plugins/${pluginId}${url.pathname === "/" ? "" : url.pathname}${url.search}${url.hash}`;
      void router.navigate({ href, replace: options?.replace ?? false });
    },
    [pluginId, router],
  );
  const props = useMemo<PluginPageProps>(
    () => ({
      plugin: { id: pluginId, name, version },
      basePath: `/plugins/${pluginId}`,
      api,
      user: { id: user.id, username: user.username, role: user.role },
      theme,
      navigate,
      path,
      params,
      context,
    }),
    [pluginId, name, version, api, user, theme, navigate, path, params, context],
  );
  const { kind, exportName, at } = wanted;
  const stable = useMemo<Wanted>(() => ({ kind, exportName, at }), [kind, exportName, at]);

  return (
    <PluginBoundary
      // Another bundle or another page starts afresh, whatever the last one did.
      key={`${manifest.isolation} ${bundleUrl} ${kind} ${exportName} ${at}`}
      fallback={(error, reset) => (
        <SlotFailure
          error={error}
          name={name}
          pluginId={pluginId}
          admin={user.role === "admin"}
          level={page ? 1 : 2}
          retry={() => {
            if (error instanceof BundleLoadError) bundles.retry(bundleUrl);
            reset();
          }}
        />
      )}
    >
      <Suspense
        fallback={
          <div className="grid min-h-48 place-items-center text-muted">
            <Spinner className="size-5" label={texts.host.loading(name)} />
          </div>
        }
      >
        {manifest.isolation === "iframe" ? (
          <Framed bundleUrl={bundleUrl} wanted={stable} props={props} title={title} />
        ) : (
          <PluginContext value={props}>
            <Loaded bundleUrl={bundleUrl} wanted={stable} props={props} />
          </PluginContext>
        )}
      </Suspense>
    </PluginBoundary>
  );
}

function Loaded({ bundleUrl, wanted, props }: { bundleUrl: string; wanted: Wanted; props: PluginPageProps }) {
  const module = use(bundles.load(bundleUrl));
  const PluginComponent = pickComponent(module, wanted);
  return <PluginComponent {...props} />;
}

interface SlotFailureProps {
  error: Error;
  name: string;
  pluginId: string;
  admin: boolean;
  level: 1 | 2;
  retry: () => void;
}

function inWords(error: Error, name: string): { title: string; lead: string } {
  if (error instanceof BundleLoadError) {
    return { title: texts.host.loadFailedTitle(name), lead: texts.host.loadFailedLead };
  }
  if (error instanceof BundleContractError) return { title: texts.host.contractTitle(name), lead: error.message };
  return { title: texts.host.crashedTitle(name), lead: texts.host.crashedLead };
}

function SlotFailure({ error, name, pluginId, admin, level, retry }: SlotFailureProps) {
  const disable = useSetEnabled(pluginId);
  const { title, lead } = inWords(error, name);
  return (
    <EmptyState
      icon={TriangleAlert}
      level={level}
      title={title}
      actions={
        <>
          <Button variant="primary" onClick={retry}>
            {texts.common.retry}
          </Button>
          {admin && (
            <Button variant="danger" busy={disable.isPending} onClick={() => disable.mutate({ enabled: false })}>
              {disable.isPending ? texts.host.disabling : texts.host.disable(name)}
            </Button>
          )}
        </>
      }
    >
      <p>{lead}</p>
      {disable.failure && (
        <Alert level="error" urgent className="text-left">
          {messageOf(disable.failure)}
        </Alert>
      )}
      <div className="text-left text-text empty:hidden">
        <SwitchNeeds name={name} change={disable} />
      </div>
      {!(error instanceof BundleContractError) && (
        <details className="min-w-0 text-left text-sm">
          <summary className="mx-auto w-fit cursor-pointer rounded">{texts.host.technical}</summary>
          <pre className="mt-2 whitespace-pre-wrap break-words rounded-lg bg-sunken p-3 font-mono text-xs">
            {error.message}
          </pre>
        </details>
      )}
    </EmptyState>
  );
}
