import { useRouterState } from "@tanstack/react-router";
import { useEffect, useRef } from "react";
import { texts } from "@/texts";
import { announce } from "./announcer";

/** Name the browser's tab. */
export function useDocumentTitle(title: string): void {
  useEffect(() => {
    document.title = `${title} · ${texts.app.name}`;
  }, [title]);
}

const WAIT_MS = 3_000;

/**
 * After a navigation, put the focus on the new page's heading and say its name.
 *
 * Without it a keyboard user stays on a link that may be gone, and a screen reader says nothing. A navigation
 * within `[data-keep-focus]` (tabs) leaves the focus where it is. The heading may come late, when the page is
 * loaded lazily, so it is waited for.
 */
export function useRouteFocus(): void {
  const path = useRouterState({ select: (state) => state.resolvedLocation?.pathname });
  const previous = useRef<string | undefined>(undefined);

  useEffect(() => {
    const first = previous.current === undefined;
    if (path === previous.current) return;
    previous.current = path;
    if (first || document.activeElement?.closest("[data-keep-focus]")) return;

    const focus = (): boolean => {
      const heading = document.querySelector<HTMLElement>("main [data-route-focus]");
      if (!heading) return false;
      heading.focus({ preventScroll: true });
      announce(texts.nav.arrived(heading.textContent ?? ""));
      return true;
    };
    if (focus()) return;
    const observer = new MutationObserver(() => {
      if (focus()) observer.disconnect();
    });
    observer.observe(document.body, { childList: true, subtree: true });
    const deadline = setTimeout(() => observer.disconnect(), WAIT_MS);
    return () => {
      observer.disconnect();
      clearTimeout(deadline);
    };
  }, [path]);
}
