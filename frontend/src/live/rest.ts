/** A tab that nobody has looked at for so long lets its streams go: over HTTP/1.1 a browser has six for all its tabs. */
const HIDDEN_MS = 60_000;

/**
 * Call `rest` once nobody has looked at the page for a while, and `wake` when somebody does again.
 *
 * @returns what ends it.
 */
export function restWhileHidden(rest: () => void, wake: () => void): () => void {
  let resting = false;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const looked = () => {
    clearTimeout(timer);
    if (document.hidden) {
      timer = setTimeout(() => {
        resting = true;
        rest();
      }, HIDDEN_MS);
    } else if (resting) {
      resting = false;
      wake();
    }
  };
  document.addEventListener("visibilitychange", looked);
  looked(); // it may have been opened behind another
  return () => {
    clearTimeout(timer);
    document.removeEventListener("visibilitychange", looked);
  };
}
