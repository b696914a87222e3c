import { useQuery } from "@tanstack/react-query";
import { Outlet, useRouteContext, useRouter, useRouterState } from "@tanstack/react-router";
import { Menu as MenuIcon, X } from "lucide-react";
import { useEffect, useRef } from "react";
import { uiManifestsQuery } from "@/api/plugins";
import { sessionQuery, type User } from "@/api/session";
import { LiveProvider } from "@/live/use-live";
import { bundles } from "@/plugin-host/loader";
import { texts } from "@/texts";
import { Palette } from "../palette/palette";
import { Button } from "../ui/button";
import { Brand } from "./brand";
import { LiveIndicator } from "./live-indicator";
import { Notices } from "./notices";
import { Sidebar } from "./sidebar";

/** The frame of every page for people who are signed in. */
export default function Shell() {
  const { user: entered } = useRouteContext({ from: "/app" });
  const router = useRouter();
  const { data: session } = useQuery(sessionQuery);

  useEffect(() => {
    // Signing out navigates by itself; getting here means that the session ended under way.
    if (session !== null || router.state.location.pathname === "/sign-in") return;
    void router.navigate({ to: "/sign-in", search: { next: router.state.location.href, expired: true } });
  }, [session, router]);

  return (
    <LiveProvider>
      <BundleKeeper />
      <Palette user={session ?? entered} />
      <a
        href="#content"
        className="sr-only z-50 rounded-lg bg-surface px-4 py-2 font-medium shadow-lg focus:not-sr-only focus:fixed focus:top-3 focus:left-3"
      >
        {texts.app.skipToContent}
      </a>
      <div className="lg:grid lg:grid-cols-[16rem_minmax(0,1fr)]">
        <aside aria-label={texts.nav.sidebar} className="sticky top-0 hidden h-dvh border-r bg-surface lg:block">
          <Sidebar user={session ?? entered} />
        </aside>
        <TopBar user={session ?? entered} />
        <main id="content" tabIndex={-1} className="min-w-0 px-4 py-6 outline-none sm:px-6 lg:px-10 lg:py-9">
          <div className="mx-auto max-w-6xl 2xl:max-w-7xl 3xl:max-w-[100rem]">
            <Notices />
            <Outlet />
          </div>
        </main>
      </div>
    </LiveProvider>
  );
}

/** Forgets the bundles of plugins that were disabled or upgraded, wherever one is looking. */
function BundleKeeper() {
  const { data: manifests } = useQuery(uiManifestsQuery);
  useEffect(() => {
    if (manifests) bundles.keepOnly(new Set(manifests.map((item) => item.bundleUrl)));
  }, [manifests]);
  return null;
}

/** On narrow screens: the brand, the state of the connection, and the sidebar as a drawer. */
function TopBar({ user }: { user: User }) {
  const drawer = useRef<HTMLDialogElement>(null);
  const path = useRouterState({ select: (state) => state.location.pathname });

  // biome-ignore lint/correctness/useExhaustiveDependencies: following a link closes the drawer
  useEffect(() => drawer.current?.close(), [path]);

  return (
    <header className="sticky top-0 z-30 flex h-14 items-center gap-2 border-b bg-surface/95 px-2 backdrop-blur lg:hidden">
      <Button variant="ghost" size="icon" aria-label={texts.nav.open} onClick={() => drawer.current?.showModal()}>
        <MenuIcon aria-hidden="true" />
      </Button>
      <Brand />
      <LiveIndicator className="ml-auto" />
      <dialog
        ref={drawer}
        aria-label={texts.nav.main}
        // The dialog's own box is all content, so a press on the dialog itself is one on its backdrop.
        onClick={(event) => event.target === drawer.current && drawer.current.close()}
        onKeyDown={(event) => event.key === "Escape" && drawer.current?.close()}
        className="m-0 h-dvh max-h-none w-72 max-w-[85vw] animate-drawer border-r bg-surface text-text"
      >
        <div className="relative h-full">
          <Button
            variant="ghost"
            size="icon"
            aria-label={texts.nav.close}
            className="absolute top-3 right-2"
            onClick={() => drawer.current?.close()}
          >
            <X aria-hidden="true" />
          </Button>
          <Sidebar user={user} />
        </div>
      </dialog>
    </header>
  );
}
