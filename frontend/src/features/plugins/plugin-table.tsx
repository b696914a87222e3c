import { Link } from "@tanstack/react-router";
import { ArrowDown, ArrowUp, ArrowUpRight } from "lucide-react";
import { memo, useEffect, useRef } from "react";
import type { ListedPlugin } from "@/api/plugins";
import { messageOf } from "@/api/problem";
import { cn } from "@/components/cn";
import { PluginIcon } from "@/components/plugin-icon";
import { RelativeTime } from "@/components/relative-time";
import { Badge } from "@/components/ui/badge";
import { Button } from "@/components/ui/button";
import { useWindowRows } from "@/components/use-window-rows";
import { texts } from "@/texts";
import { EnableSwitch } from "./enable-switch";
import type { ListProps, Selection } from "./plugin-list";
import type { Sort } from "./search";
import { SelectBox } from "./select-box";
import { Elapsed } from "./stage-progress";
import { isBusy, needsAttention, stageOf } from "./state";
import { StateBadge } from "./state-badge";
import { useRestart, useSetEnabled } from "./use-changes";

const ROW_PX = 61;
const { plugins: words } = texts;

/** The plugins as a table, for those who have many. */
export function PluginTable({ plugins, admin, pages, selection, sort, onSort }: ListProps) {
  const { list, virtualizer, margin, onFocus } = useWindowRows<HTMLTableElement>(
    plugins.length,
    ROW_PX,
    (index) => plugins[index]?.id ?? String(index),
  );
  const shown = virtualizer.getVirtualItems();
  const after = virtualizer.getTotalSize() - ((shown.at(-1)?.end ?? margin) - margin);
  const head = { sort, onSort };
  return (
    <table
      ref={list}
      aria-label={words.title}
      aria-rowcount={plugins.length + 1}
      onFocus={onFocus}
      className="w-full table-fixed rounded-card border bg-surface text-left text-sm shadow-card"
    >
      <thead className="text-muted">
        <tr className="border-b" aria-rowindex={1}>
          {selection && (
            <th scope="col" className="w-12 py-2 pl-4">
              <SelectAll selection={selection} total={plugins.length} />
            </th>
          )}
          <Head by="name" title={words.name} className="pl-4" {...head} />
          <Head by="state" title={texts.plugin.state} className="w-40 max-sm:hidden" {...head} />
          <th scope="col" className="w-56 py-2 pr-4 font-medium max-2xl:hidden">
            {words.capabilities}
          </th>
          <Head by="since" title={words.since} className="w-32 max-md:hidden" {...head} />
          <th scope="col" className={cn("py-2 pr-4", admin ? "w-20 sm:w-48" : "w-28")}>
            <span className="sr-only">{words.actions}</span>
          </th>
        </tr>
      </thead>
      <tbody>
        {shown.flatMap((item, place) => {
          const plugin = plugins[item.index];
          // A row that is kept for its focus can stand far from the others.
          const room = item.start - (shown[place - 1]?.end ?? margin);
          if (!plugin) return [];
          // One flat list of keys: a row that came under another parent would lose the focus.
          return [
            room > 0 && <Spacer key={`before ${item.key}`} height={room} />,
            <Row
              key={item.key}
              measure={virtualizer.measureElement}
              index={item.index}
              plugin={plugin}
              admin={admin}
              page={pages.get(plugin.id) ?? null}
              selected={selection?.has(plugin.id) ?? null}
              onSelect={selection?.toggle}
            />,
          ];
        })}
        {after > 0 && <Spacer height={after} />}
      </tbody>
    </table>
  );
}

const Spacer = ({ height }: { height: number }) => (
  // biome-ignore lint/a11y/noAriaHiddenOnFocusable: nothing in it can take the focus
  <tr aria-hidden="true">
    <td style={{ height }} />
  </tr>
);

interface HeadProps {
  by: "name" | "state" | "since";
  title: string;
  sort: Sort;
  onSort: (sort: Sort) => void;
  className?: string;
}

function Head({ by, title, sort, onSort, className }: HeadProps) {
  const up = sort === by;
  const down = sort === `-${by}`;
  return (
    <th
      scope="col"
      aria-sort={up ? "ascending" : down ? "descending" : "none"}
      className={cn("py-2 pr-4 font-medium", className)}
    >
      <button
        type="button"
        onClick={() => onSort(up ? `-${by}` : by)}
        className="-mx-1 flex items-center gap-1 rounded px-1 hover:text-text"
      >
        {title}
        {up && <ArrowUp aria-hidden="true" className="size-3.5" />}
        {down && <ArrowDown aria-hidden="true" className="size-3.5" />}
      </button>
    </th>
  );
}

function SelectAll({ selection, total }: { selection: Selection; total: number }) {
  const box = useRef<HTMLInputElement>(null);
  const some = selection.count > 0 && selection.count < total;
  useEffect(() => {
    if (box.current) box.current.indeterminate = some;
  }, [some]);
  return (
    <input
      ref={box}
      type="checkbox"
      aria-label={texts.bulk.selectAll(total)}
      checked={selection.count === total}
      onChange={(event) => selection.all(event.target.checked)}
      className="block size-5 accent-(--nimbus-accent)"
    />
  );
}

interface RowProps {
  measure: (element: Element | null) => void;
  index: number;
  plugin: ListedPlugin;
  admin: boolean;
  page: string | null;
  selected: boolean | null;
  onSelect: ((id: string, range: boolean) => void) | undefined;
}

const Row = memo(function Row({ measure, index, plugin, admin, page, selected, onSelect }: RowProps) {
  const change = useSetEnabled(plugin.id);
  const restart = useRestart(plugin.id);
  const error = change.failure ?? restart.error;
  const retryable = admin && plugin.enabled && (plugin.state === "quarantined" || plugin.state === "failed");
  return (
    <tr
      ref={measure}
      data-index={index}
      data-plugin={plugin.id}
      data-state={plugin.state}
      aria-rowindex={index + 2}
      aria-selected={selected ?? undefined}
      className="border-b last:border-0 aria-selected:bg-accent-soft"
    >
      {selected !== null && onSelect && (
        <td className="w-12 py-2 pl-4 align-top">
          <SelectBox id={plugin.id} name={plugin.name} checked={selected} onSelect={onSelect} />
        </td>
      )}
      <th scope="row" className="py-2.5 pr-4 pl-4 text-left align-top font-normal">
        <div className="flex min-w-0 gap-3">
          <PluginIcon name={plugin.icon} className="mt-0.5 size-5 shrink-0 text-accent max-sm:hidden" />
          <div className="grid min-w-0 gap-0.5">
            <Link
              to="/manage/plugins/$pluginId"
              params={{ pluginId: plugin.id }}
              className="truncate rounded font-medium hover:underline hover:underline-offset-4"
            >
              {plugin.name}
            </Link>
            <span className="truncate text-muted">
              {plugin.version}
              {plugin.author && ` · ${words.by(plugin.author)}`}
            </span>
            <span className="mt-1 sm:hidden">
              <StateBadge state={plugin.state} />
            </span>
            <Standing plugin={plugin} />
            {error && (
              <span role="alert" className="break-words text-danger">
                {messageOf(error)}
              </span>
            )}
          </div>
        </div>
      </th>
      <td className="py-2.5 pr-4 align-top max-sm:hidden">
        <StateBadge state={plugin.state} />
      </td>
      <td className="py-2.5 pr-4 align-top max-2xl:hidden">
        <span className="flex flex-wrap gap-1">
          {plugin.capabilities?.map((capability) => (
            <Badge key={capability} tone="outline">
              {capability}
            </Badge>
          ))}
        </span>
      </td>
      <td className="py-2.5 pr-4 align-top text-muted max-md:hidden">
        <RelativeTime at={plugin.since} />
      </td>
      <td className="py-2.5 pr-4 align-top">
        <span className="flex items-center justify-end gap-3">
          {retryable && (
            <Button size="small" className="max-sm:hidden" busy={restart.isPending} onClick={() => restart.mutate()}>
              {restart.isPending ? texts.failure.restarting : texts.failure.restart}
            </Button>
          )}
          {page !== null && (
            <Button size="small" asChild className="max-sm:hidden">
              <Link
                to="/plugins/$pluginId/$"
                params={{ pluginId: plugin.id, _splat: page.slice(1) }}
                aria-label={words.openPageOf(plugin.name)}
              >
                {words.openPage}
                <ArrowUpRight aria-hidden="true" />
              </Link>
            </Button>
          )}
          {admin && <EnableSwitch plugin={plugin} change={change} />}
        </span>
      </td>
    </tr>
  );
});

/** What is being done right now with its stage and time, or what is wrong and what to do. */
function Standing({ plugin }: { plugin: ListedPlugin }) {
  if (plugin.errors?.length) {
    const [first] = plugin.errors;
    return (
      <span className="break-words text-danger">
        {words.manifestErrors}: {first?.path} {first?.message}
      </span>
    );
  }
  if (plugin.reason && needsAttention(plugin.state)) {
    return (
      <span className="break-words">
        {plugin.reason.message} <span className="text-muted">{plugin.reason.hint}</span>
      </span>
    );
  }
  const stage = stageOf(plugin.state);
  if (stage === null || !isBusy(plugin.state)) return null;
  return (
    <span className="flex min-w-0 gap-2 text-muted">
      <span className="shrink-0">{texts.stages.step(stage + 1, 4)}</span>
      <span className="truncate" title={plugin.progress ?? undefined}>
        {plugin.progress ?? texts.stateHelp[plugin.state]}
      </span>
      <Elapsed since={plugin.since} />
    </span>
  );
}
