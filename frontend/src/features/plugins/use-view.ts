import { useState } from "react";

export type View = "cards" | "table";
const KEY = "nimbus-plugins-view";

function read(): View {
  try {
    return localStorage.getItem(KEY) === "table" ? "table" : "cards";
  } catch {
    return "cards";
  }
}

/** Cards or table, as this browser was last told. */
export function useView(): [View, (view: View) => void] {
  const [view, setView] = useState(read);
  return [
    view,
    (next) => {
      setView(next);
      try {
        localStorage.setItem(KEY, next);
      } catch {
        // A browser that keeps nothing forgets it, which is no fault.
      }
    },
  ];
}
