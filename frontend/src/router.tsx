import type { QueryClient } from "@tanstack/react-query";
import {
  createRootRouteWithContext,
  createRoute,
  createRouter,
  lazyRouteComponent,
  redirect,
} from "@tanstack/react-router";
import { sessionQuery, systemQuery } from "@/api/session";
import { AloneCrash, AloneNotFound, NotFoundPage, PageCrash, PagePending, Root } from "@/components/layout/root";
import { parseSpan } from "@/features/plugins/detail/metrics/span";
import { parseSearch } from "@/features/plugins/search";
import { part } from "./new-version";

/** A page that is loaded when it is first gone to. */
const page = (load: Parameters<typeof lazyRouteComponent>[0]) => lazyRouteComponent(() => part(load));

interface RouterContext {
  client: QueryClient;
}

/** A path within the dashboard to go to after signing in; anything that could leave it is dropped. */
export function safeNext(value: unknown): string | undefined {
  if (typeof value !== "string" || !value.startsWith("/") || value.length > 2_000) return undefined;
  const target = URL.canParse(value, location.origin) ? new URL(value, location.origin) : null;
  if (!target || target.origin !== location.origin || target.pathname === "/sign-in") return undefined;
  return target.pathname + target.search + target.hash;
}

const root = createRootRouteWithContext<RouterContext>()({
  component: Root,
  notFoundComponent: AloneNotFound,
  errorComponent: AloneCrash,
});

const signIn = createRoute({
  getParentRoute: () => root,
  path: "/sign-in",
  validateSearch: (search: Record<string, unknown>): { next?: string; expired?: boolean } => {
    const next = safeNext(search.next);
    return { ...(next && { next }), ...(search.expired === true && { expired: true }) };
  },
  beforeLoad: async ({ context: { client }, search }) => {
    if (await client.ensureQueryData(sessionQuery)) throw redirect({ href: search.next ?? "/" });
    if ((await client.ensureQueryData(systemQuery)).setupNeeded) throw redirect({ to: "/setup" });
  },
  component: page(() => import("@/features/auth/sign-in-page")),
});

const setup = createRoute({
  getParentRoute: () => root,
  path: "/setup",
  beforeLoad: async ({ context: { client } }) => {
    if (!(await client.ensureQueryData(systemQuery)).setupNeeded) throw redirect({ to: "/" });
  },
  component: page(() => import("@/features/auth/setup-page")),
});

const invitation = createRoute({
  getParentRoute: () => root,
  path: "/invitation",
  beforeLoad: ({ context: { client } }) => client.ensureQueryData(sessionQuery).then(() => undefined),
  component: page(() => import("@/features/auth/invitation-page")),
});

/** Outside of what asks for a session: a restore ends them all. */
const restoring = createRoute({
  getParentRoute: () => root,
  path: "/restoring",
  component: page(() => import("@/features/system/backups/restoring-page")),
});

const app = createRoute({
  getParentRoute: () => root,
  id: "app",
  beforeLoad: async ({ context: { client }, location }) => {
    const user = await client.ensureQueryData(sessionQuery);
    if (!user) throw redirect({ to: "/sign-in", search: { next: location.href } });
    return { user };
  },
  component: page(() => import("@/components/layout/shell")),
});

const home = createRoute({
  getParentRoute: () => app,
  path: "/",
  component: page(() => import("@/features/home/home-page")),
});

/** Pages for administrators; whoever is none is led home. */
const admins = createRoute({
  getParentRoute: () => app,
  id: "admins",
  beforeLoad: ({ context: { user } }) => {
    if (user.role !== "admin") throw redirect({ to: "/" });
  },
});

const install = createRoute({
  getParentRoute: () => admins,
  path: "/install",
  component: page(() => import("@/features/install/install-page")),
});

const events = createRoute({
  getParentRoute: () => admins,
  path: "/events",
  component: page(() => import("@/features/events/events-page")),
});

const webhooks = createRoute({
  getParentRoute: () => admins,
  path: "/webhooks",
  component: page(() => import("@/features/webhooks/webhooks-page")),
});

const access = createRoute({
  getParentRoute: () => admins,
  path: "/access",
  component: page(() => import("@/features/access/access-page")),
});

const audit = createRoute({
  getParentRoute: () => admins,
  path: "/audit",
  component: page(() => import("@/features/audit/audit-page")),
});

const system = createRoute({
  getParentRoute: () => admins,
  path: "/system",
  component: page(() => import("@/features/system/system-page")),
});

const library = createRoute({
  getParentRoute: () => app,
  path: "/library",
  validateSearch: (search: Record<string, unknown>): { q?: string; kind?: string; year?: number } => ({
    ...(typeof search.q === "string" && search.q && { q: search.q.slice(0, 200) }),
    ...(typeof search.kind === "string" && search.kind && { kind: search.kind.slice(0, 40) }),
    ...(typeof search.year === "number" && { year: search.year }),
  }),
  component: page(() => import("@/features/library/library-page")),
});

const downloads = createRoute({
  getParentRoute: () => app,
  path: "/downloads",
  component: page(() => import("@/features/downloads/downloads-page")),
});

const mediaItem = createRoute({
  getParentRoute: () => app,
  path: "/library/$mediaId",
  component: page(() => import("@/features/library/media-page")),
});

const plugins = createRoute({
  getParentRoute: () => app,
  path: "/plugins",
  validateSearch: parseSearch,
  component: page(() => import("@/features/plugins/plugins-page")),
});

const pluginPage = createRoute({
  getParentRoute: () => app,
  path: "/plugins/$pluginId/$",
  component: page(() => import("@/plugin-host/plugin-page")),
});

const account = createRoute({
  getParentRoute: () => app,
  path: "/account",
  component: page(() => import("@/features/account/account-page")),
});

const manage = createRoute({
  getParentRoute: () => app,
  path: "/manage/plugins/$pluginId",
  component: page(() => import("@/features/plugins/detail/detail-page")),
});

const manageOverview = createRoute({
  getParentRoute: () => manage,
  path: "/",
  component: page(() => import("@/features/plugins/detail/overview")),
});

const manageSettings = createRoute({
  getParentRoute: () => manage,
  path: "/settings",
  component: page(() => import("@/features/plugins/detail/settings/settings-tab")),
});

const manageHistory = createRoute({
  getParentRoute: () => manage,
  path: "/history",
  component: page(() => import("@/features/plugins/detail/history")),
});

const manageVersions = createRoute({
  getParentRoute: () => manage,
  path: "/versions",
  component: page(() => import("@/features/plugins/detail/versions/versions-tab")),
});

const manageDoctor = createRoute({
  getParentRoute: () => manage,
  path: "/doctor",
  component: page(() => import("@/features/plugins/detail/doctor")),
});

const manageEvents = createRoute({
  getParentRoute: () => manage,
  path: "/events",
  component: page(() => import("@/features/plugins/detail/events/events-tab")),
});

const manageData = createRoute({
  getParentRoute: () => manage,
  path: "/data",
  component: page(() => import("@/features/plugins/detail/data/data-tab")),
});

const manageDanger = createRoute({
  getParentRoute: () => manage,
  path: "/danger",
  component: page(() => import("@/features/plugins/detail/danger-tab")),
});

const manageMetrics = createRoute({
  getParentRoute: () => manage,
  path: "/metrics",
  validateSearch: parseSpan,
  component: page(() => import("@/features/plugins/detail/metrics/metrics-tab")),
});

const manageLogs = createRoute({
  getParentRoute: () => manage,
  path: "/logs",
  component: page(() => import("@/features/plugins/detail/logs")),
});

/** Every other address: the sidebar stays, and whoever is not signed in is asked to first. */
const anythingElse = createRoute({ getParentRoute: () => app, path: "/$", component: NotFoundPage });

const routeTree = root.addChildren([
  signIn,
  setup,
  invitation,
  restoring,
  app.addChildren([
    home,
    plugins,
    pluginPage,
    account,
    library,
    mediaItem,
    downloads,
    admins.addChildren([install, events, webhooks, access, audit, system]),
    anythingElse,
    manage.addChildren([
      manageOverview,
      manageSettings,
      manageHistory,
      manageLogs,
      manageVersions,
      manageMetrics,
      manageEvents,
      manageDoctor,
      manageData,
      manageDanger,
    ]),
  ]),
]);

export function makeRouter(client: QueryClient) {
  return createRouter({
    routeTree,
    context: { client },
    defaultPreload: "intent",
    defaultPendingComponent: PagePending,
    defaultErrorComponent: PageCrash,
    defaultNotFoundComponent: NotFoundPage,
    scrollRestoration: true,
  });
}

declare module "@tanstack/react-router" {
  interface Register {
    router: ReturnType<typeof makeRouter>;
  }
}
