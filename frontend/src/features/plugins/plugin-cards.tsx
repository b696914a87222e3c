import { useSyncExternalStore } from "react";
import type { ListedPlugin } from "@/api/plugins";
import { cn } from "@/components/cn";
import { useWindowRows } from "@/components/use-window-rows";
import { texts } from "@/texts";
import { PluginCard } from "./plugin-card";
import type { ListProps } from "./plugin-list";

const CARD_PX = 260;
const GAP_PX = 20;
const twoWide = matchMedia("(min-width: 48rem)");
const threeWide = matchMedia("(min-width: 96rem)");
const fourWide = matchMedia("(min-width: 120rem)");

function subscribe(listener: () => void): () => void {
  for (const query of [twoWide, threeWide, fourWide]) query.addEventListener("change", listener);
  return () => {
    for (const query of [twoWide, threeWide, fourWide]) query.removeEventListener("change", listener);
  };
}

/** As many beside each other as there is room for. */
const useColumns = (): number =>
  useSyncExternalStore(subscribe, () => (fourWide.matches ? 4 : threeWide.matches ? 3 : twoWide.matches ? 2 : 1));

/** The plugins as cards, row by row. */
export function PluginCards({ plugins, admin, pages, selection }: ListProps) {
  const columns = useColumns();
  const rows: ListedPlugin[][] = [];
  for (let index = 0; index < plugins.length; index += columns) rows.push(plugins.slice(index, index + columns));
  const { list, virtualizer, margin, onFocus } = useWindowRows<HTMLDivElement>(
    rows.length,
    CARD_PX,
    (index) => rows[index]?.map(({ id }) => id).join(" ") ?? String(index),
    GAP_PX,
  );
  return (
    // biome-ignore lint/a11y/useSemanticElements: rows stand between the list and its items
    <div
      ref={list}
      role="list"
      aria-label={texts.plugins.title}
      onFocus={onFocus}
      className="relative"
      style={{ height: virtualizer.getTotalSize() }}
    >
      {virtualizer.getVirtualItems().map((item) => (
        <div
          key={item.key}
          ref={virtualizer.measureElement}
          data-index={item.index}
          role="presentation"
          className={cn(
            "absolute inset-x-0 top-0 grid gap-5",
            ["grid-cols-1", "grid-cols-2", "grid-cols-3", "grid-cols-4"][columns - 1],
          )}
          style={{ transform: `translateY(${item.start - margin}px)` }}
        >
          {rows[item.index]?.map((plugin, place) => (
            // biome-ignore lint/a11y/useSemanticElements: see the list
            <div
              key={plugin.id}
              role="listitem"
              aria-setsize={plugins.length}
              aria-posinset={item.index * columns + place + 1}
              className="grid min-w-0 grid-cols-1"
            >
              <PluginCard
                plugin={plugin}
                admin={admin}
                page={pages.get(plugin.id) ?? null}
                selected={selection?.has(plugin.id) ?? null}
                onSelect={selection?.toggle}
              />
            </div>
          ))}
        </div>
      ))}
    </div>
  );
}
