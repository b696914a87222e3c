import { useSyncExternalStore } from "react";

let message = "";
let flip = false;
const listeners = new Set<() => void>();

/** Say something to a screen reader without moving the focus. */
export function announce(text: string): void {
  // The same sentence twice has to be a change, or it is read once only.
  flip = !flip;
  message = flip ? text : `${text}\u00a0`;
  for (const listener of listeners) listener();
}

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** The live region that speaks what {@link announce} is given. Rendered once. */
export function Announcer() {
  const text = useSyncExternalStore(subscribe, () => message);
  return (
    <div role="status" aria-live="polite" className="sr-only">
      {text}
    </div>
  );
}
