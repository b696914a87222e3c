import { texts } from "./texts";

const KEY = "nimbus-reloaded-at";
const ONCE_IN_MS = 10_000;
/** After so many in a row it is known that reloading does not help. */
const AT_MOST = 3;
const FORGOTTEN_MS = 300_000;
const AGAIN_MS = 2_000;

/** A part of the dashboard that could not be had: Nimbus does not answer, or has another build by now. */
export class PartMissingError extends Error {
  constructor() {
    super(texts.crash.missingLead);
  }
}

/** Loads a part of the dashboard. Whoever waits for it is told in our words, and does not reload by itself. */
export const part = <Part>(load: () => Promise<Part>): Promise<Part> =>
  load().catch(() => {
    throw new PartMissingError();
  });

const answers = (): Promise<boolean> =>
  fetch("/api/system", { cache: "no-store", signal: AbortSignal.timeout(AGAIN_MS) }).then(
    ({ ok }) => ok,
    () => false,
  );

/** Whether it may reload: once in a while and a few times only, because where it does not help, the error has to be seen. */
export function mayReload(): "now" | "later" | "never" {
  try {
    const [last = 0, before = 0] = (sessionStorage.getItem(KEY) ?? "").split(" ").map(Number);
    const passed = Date.now() - last;
    const count = passed < FORGOTTEN_MS ? before : 0;
    if (count >= AT_MOST) return "never";
    if (passed < ONCE_IN_MS) return "later";
    sessionStorage.setItem(KEY, `${Date.now()} ${count + 1}`);
    return "now";
  } catch {
    return "never"; // without storage nothing would stop it from reloading again and again
  }
}

/**
 * Reload the page when one of its parts is gone.
 *
 * After Nimbus was upgraded, a page that was open before asks for files of the old build. The new page has them all.
 * While Nimbus does not answer, the page stays: the browser has none to put in its place.
 */
export function reloadForNewVersion(): void {
  window.addEventListener("vite:preloadError", () => {
    void answers().then((there) => {
      if (there && mayReload() === "now") location.reload();
    });
  });
}

/** For a page that is missing and looked at: reloads as soon as Nimbus answers. Returns what ends the waiting. */
export function reloadOnceItAnswers(): () => void {
  let timer: ReturnType<typeof setTimeout> | undefined;
  let ended = false;
  const look = async () => {
    const there = await answers();
    if (ended) return;
    const may = there ? mayReload() : "later";
    if (may === "now") location.reload();
    else if (may === "later") timer = setTimeout(() => void look(), AGAIN_MS);
  };
  void look();
  return () => {
    ended = true;
    clearTimeout(timer);
  };
}
