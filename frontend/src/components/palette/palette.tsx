import { lazy, Suspense, useCallback, useEffect, useState } from "react";
import type { ListedPlugin } from "@/api/plugins";
import { messageOf } from "@/api/problem";
import type { User } from "@/api/session";
import { part } from "@/new-version";
import { notify } from "../toasts";
import { openPalette, PALETTE_EVENT } from "./open";

const loadDialog = () => import("./palette-dialog");
const loadSwitch = () => import("./palette-switch");
const PaletteDialog = lazy(loadDialog);
const PaletteSwitch = lazy(loadSwitch);

/** Ctrl-K or Cmd-K on any page: go anywhere, do anything. What it shows is loaded when it is first asked for. */
export function Palette({ user }: { user: User }) {
  const [open, setOpen] = useState(false);
  const [wish, setWish] = useState<{ plugin: ListedPlugin; enabled: boolean } | null>(null);
  const onSwitch = useCallback((plugin: ListedPlugin, enabled: boolean) => setWish({ plugin, enabled }), []);

  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      if (event.key.toLowerCase() !== "k" || !(event.ctrlKey || event.metaKey) || event.altKey || event.shiftKey)
        return;
      event.preventDefault();
      openPalette();
    };
    // Both are here before one is shown: what cannot be had is said, and costs nobody the page.
    const onOpen = () =>
      void part(() => Promise.all([loadDialog(), loadSwitch()])).then(
        () => setOpen(true),
        (error: unknown) => notify(messageOf(error)),
      );
    window.addEventListener("keydown", onKey);
    window.addEventListener(PALETTE_EVENT, onOpen);
    return () => {
      window.removeEventListener("keydown", onKey);
      window.removeEventListener(PALETTE_EVENT, onOpen);
    };
  }, []);

  return (
    <Suspense>
      {open && <PaletteDialog user={user} onSwitch={onSwitch} onClose={() => setOpen(false)} />}
      {wish && <PaletteSwitch key={`${wish.plugin.id} ${wish.enabled}`} {...wish} onEnd={() => setWish(null)} />}
    </Suspense>
  );
}
