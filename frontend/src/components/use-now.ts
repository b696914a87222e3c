import { useSyncExternalStore } from "react";

const SECOND_MS = 1_000;

const listeners = new Set<() => void>();
let timer: ReturnType<typeof setInterval> | undefined;

/** One clock for everything that tells the time, however much of it is on the screen. */
function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  timer ??= setInterval(() => {
    for (const each of listeners) each();
  }, SECOND_MS);
  return () => {
    listeners.delete(listener);
    if (listeners.size > 0) return;
    clearInterval(timer);
    timer = undefined;
  };
}

/** The time in milliseconds, exact to `step` of them: whoever shows it is drawn again as often as that and no oftener. */
export const useNow = (step: number = SECOND_MS): number =>
  useSyncExternalStore(subscribe, () => Math.floor(Date.now() / step) * step);
