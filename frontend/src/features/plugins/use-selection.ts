import { useMemo, useRef, useState } from "react";
import type { ListedPlugin } from "@/api/plugins";
import { between } from "./bulk";
import type { Selection } from "./plugin-list";

/** Which of the plugins on the page are marked. What a filter hides is not: nothing happens to what nobody sees. */
export function useSelection(shown: readonly ListedPlugin[]) {
  const [marked, setMarked] = useState<ReadonlySet<string>>(new Set());
  const last = useRef<string | null>(null);
  const ids = useRef<string[]>([]);
  ids.current = shown.map(({ id }) => id);
  const chosen = useMemo(() => shown.filter(({ id }) => marked.has(id)), [shown, marked]);

  // The same function for as long as the page is there, so that a card that is not marked anew is not drawn anew.
  const [toggle] = useState(() => (id: string, range: boolean) => {
    const others = range && last.current ? between(ids.current, last.current, id) : [id];
    last.current = id;
    setMarked((before) => {
      const next = new Set(before);
      const on = !before.has(id);
      for (const other of others) {
        if (on) next.add(other);
        else next.delete(other);
      }
      return next;
    });
  });
  const all = (on: boolean) => setMarked(new Set(on ? ids.current : []));
  const selection: Selection = { has: (id) => marked.has(id), toggle, all, count: chosen.length };
  return { selection, chosen };
}
