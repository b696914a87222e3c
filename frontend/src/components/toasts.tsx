import { X } from "lucide-react";
import { useEffect, useState, useSyncExternalStore } from "react";
import { texts } from "@/texts";
import { announce } from "./announcer";
import { Button } from "./ui/button";

interface Toast {
  id: number;
  text: string;
}

const SHOWN_MS = 6_000;
const AT_MOST = 3;
let toasts: readonly Toast[] = [];
let lastId = 0;
const listeners = new Set<() => void>();

function update(next: readonly Toast[]): void {
  toasts = next;
  for (const listener of listeners) listener();
}

/** Show a short note for a few seconds, longer while somebody is at it, and say it. For outcomes only: what needs an answer belongs on the page. */
export function notify(text: string): void {
  lastId += 1;
  update([...toasts, { id: lastId, text }].slice(-AT_MOST));
  announce(text);
}

const dismiss = (id: number) => update(toasts.filter((toast) => toast.id !== id));

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

function Note({ toast }: { toast: Toast }) {
  const [held, setHeld] = useState(false);
  useEffect(() => {
    if (held) return;
    const timer = setTimeout(() => dismiss(toast.id), SHOWN_MS);
    return () => clearTimeout(timer);
  }, [toast.id, held]);
  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: it only stays while somebody reads it or is at its button
    <div
      onPointerEnter={() => setHeld(true)}
      onPointerLeave={() => setHeld(false)}
      onFocus={() => setHeld(true)}
      onBlur={() => setHeld(false)}
      className="pointer-events-auto flex animate-rise items-center gap-3 rounded-xl border bg-surface py-2 pr-2 pl-4 text-sm shadow-lg"
    >
      <p className="min-w-0 flex-1">{toast.text}</p>
      <Button variant="ghost" size="icon-small" aria-label={texts.common.close} onClick={() => dismiss(toast.id)}>
        <X aria-hidden="true" />
      </Button>
    </div>
  );
}

/** Where the notes appear. Rendered once. */
export function Toasts() {
  const shown = useSyncExternalStore(subscribe, () => toasts);
  if (shown.length === 0) return null;
  return (
    <section
      aria-label={texts.notices.toasts}
      className="pointer-events-none fixed inset-x-4 bottom-4 z-50 grid gap-2 sm:left-auto sm:w-96"
    >
      {shown.map((toast) => (
        <Note key={toast.id} toast={toast} />
      ))}
    </section>
  );
}
