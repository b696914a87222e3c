import { useEffect } from "react";

/** Milliseconds for whoever took the focused thing away to say where the focus goes; dialogs and forms do. */
const GRACE_MS = 100;
const PARTS = "dialog, section, main";

/** The title of the innermost part around an element that has one, or else that of the page. */
function titleAround(element: Element | undefined): HTMLElement | null {
  for (let part = element?.closest(PARTS); part; part = part.parentElement?.closest(PARTS)) {
    const title = part.querySelector<HTMLElement>("h1, h2, h3");
    if (title) return title;
  }
  return document.querySelector<HTMLElement>("main :is(h1, h2, h3)");
}

/**
 * When what has the focus is taken out of the page, as a row that was deleted, the focus goes to the title of the part
 * that it was in. Browsers leave it nowhere: a screen reader falls silent, and the next Tab begins anywhere.
 */
export function useFocusRescue(): void {
  useEffect(() => {
    /** What has the focus and all that it is in, from the inside out. */
    let path: Element[] = [];
    let timer: ReturnType<typeof setTimeout> | undefined;
    const isLost = () =>
      path[0] !== undefined && !path[0].isConnected && (document.activeElement ?? document.body) === document.body;
    const rescue = () => {
      if (!isLost()) return;
      const title = titleAround(path.find((element) => element.isConnected));
      path = [];
      if (title && !title.hasAttribute("tabindex")) title.tabIndex = -1;
      title?.focus({ preventScroll: true }); // the row may have gone because one scrolls
    };
    const taken = (event: FocusEvent) => {
      path = event.composedPath().filter((one): one is Element => one instanceof Element);
    };
    const left = (event: FocusEvent) => {
      // Some browsers say so too when it is taken out of the page, which is known a moment later.
      queueMicrotask(() => {
        if (event.target === path[0] && path[0].isConnected) path = [];
      });
    };
    const observer = new MutationObserver(() => {
      if (!isLost()) return;
      clearTimeout(timer);
      timer = setTimeout(rescue, GRACE_MS);
    });
    observer.observe(document.body, { childList: true, subtree: true });
    document.addEventListener("focusin", taken);
    document.addEventListener("focusout", left);
    return () => {
      observer.disconnect();
      clearTimeout(timer);
      document.removeEventListener("focusin", taken);
      document.removeEventListener("focusout", left);
    };
  }, []);
}
