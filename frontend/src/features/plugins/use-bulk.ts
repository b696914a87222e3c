import { useQueryClient } from "@tanstack/react-query";
import { useCallback, useState } from "react";
import type { ListedPlugin, Others } from "@/api/plugins";
import { messageOf } from "@/api/problem";
import { type BulkItem, comesAfter, itemsFor, type Verb } from "./bulk";
import { needsOf } from "./needs";
import { askEnabled } from "./use-changes";

const AT_ONCE = 4;

export interface BulkRun {
  verb: Verb;
  items: readonly BulkItem[];
  /** Every one has had its answer, and what is left is a person's to decide. */
  over: boolean;
}

/** Switches many plugins, a few at a time; one that is refused stops none of the others. */
export function useBulk() {
  const client = useQueryClient();
  const [run, setRun] = useState<BulkRun | null>(null);

  const start = useCallback(
    async (verb: Verb, plugins: readonly ListedPlugin[], others?: Others) => {
      const items = itemsFor(plugins, verb);
      const show = (over = false) => setRun({ verb, items: [...items], over });
      const mark = (index: number, change: Partial<BulkItem>) => {
        items[index] = { ...(items[index] as BulkItem), ...change };
        show();
      };
      show();
      const indexes = (wanted: (item: BulkItem) => boolean) =>
        items.flatMap((item, index) => (wanted(item) ? [index] : []));
      const ask = async (index: number) => {
        try {
          await askEnabled(client, (items[index] as BulkItem).id, verb === "enable", others);
          mark(index, { asked: "asked", why: undefined, needs: undefined });
        } catch (error) {
          mark(index, { asked: "refused", why: messageOf(error), needs: needsOf(error) ?? undefined });
        }
      };
      let queue = indexes((item) => item.asked === "waiting");
      while (queue.length > 0) {
        const left = [...queue];
        const work = async () => {
          for (let index = left.shift(); index !== undefined; index = left.shift()) await ask(index);
        };
        await Promise.all(Array.from({ length: AT_ONCE }, work));
        // Refused only because of others that were switched meanwhile: it is their turn now.
        const before = new Set(queue);
        queue = indexes((item) => comesAfter(item, items));
        if (queue.length === before.size && queue.every((index) => before.has(index))) break;
      }
      show(true);
    },
    [client],
  );
  return { run, start, close: () => setRun(null) };
}
