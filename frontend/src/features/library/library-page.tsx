import { useInfiniteQuery } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import { Clapperboard, Plus, Search, SearchX } from "lucide-react";
import { useDeferredValue, useState } from "react";
import { type Media, type MediaFilter, mediaQuery } from "@/api/media";
import { Loaded } from "@/components/loaded";
import { PageHeader } from "@/components/page";
import { RelativeTime } from "@/components/relative-time";
import { Badge } from "@/components/ui/badge";
import { Button } from "@/components/ui/button";
import { EmptyState } from "@/components/ui/empty-state";
import { inputClasses } from "@/components/ui/field-frame";
import { VirtualRows } from "@/components/virtual-rows";
import { texts } from "@/texts";
import { AddMedia } from "./media-form";

const route = getRouteApi("/app/library");
const { library } = texts;
const ROW = 60;

export default function LibraryPage() {
  const { q: search = "", kind = "", year } = route.useSearch();
  const navigate = route.useNavigate();
  const [adding, setAdding] = useState(false);
  const words = useDeferredValue(search.trim());
  const filter: MediaFilter = { ...(words && { search: words }), ...(kind && { kind }), ...(year && { year }) };
  const query = useInfiniteQuery(mediaQuery(filter));
  const { hasNextPage, isFetchingNextPage, fetchNextPage } = query;
  const narrow = (change: { q?: string; kind?: string; year?: number | undefined }) =>
    void navigate({
      search: (before) => {
        const { q, kind: only, year: from } = { ...before, ...change };
        return { ...(q && { q }), ...(only && { kind: only }), ...(from && { year: from }) };
      },
      replace: true,
      resetScroll: false,
    });
  const filtered = Boolean(words || kind || year);

  return (
    <>
      <PageHeader
        title={library.title}
        lead={library.lead}
        actions={
          <Button onClick={() => setAdding(true)}>
            <Plus aria-hidden="true" />
            {library.add}
          </Button>
        }
      />
      <search className="mb-5 flex flex-wrap items-center gap-3">
        <div className="relative w-full sm:w-72">
          <Search aria-hidden="true" className="pointer-events-none absolute top-3 left-3 size-4 text-muted" />
          <input
            type="search"
            defaultValue={search}
            onChange={(event) => narrow({ q: event.target.value })}
            placeholder={library.search}
            aria-label={library.search}
            className={`${inputClasses} pl-9`}
          />
        </div>
        <input
          type="text"
          defaultValue={kind}
          onChange={(event) => narrow({ kind: event.target.value.trim() })}
          placeholder={library.kind}
          aria-label={library.kind}
          autoCapitalize="none"
          className={`${inputClasses} w-32!`}
        />
        <input
          type="number"
          defaultValue={year ?? ""}
          min={1}
          max={9999}
          onChange={(event) => narrow({ year: event.target.value ? Number(event.target.value) : undefined })}
          placeholder={library.year}
          aria-label={library.year}
          className={`${inputClasses} w-28!`}
        />
      </search>
      <Loaded query={query} failed={library.loadFailed}>
        {(items) =>
          items.length === 0 ? (
            filtered ? (
              <EmptyState icon={SearchX} title={library.noMatchTitle}>
                <p>{library.noMatchLead}</p>
              </EmptyState>
            ) : (
              <EmptyState icon={Clapperboard} title={library.emptyTitle}>
                <p>{library.emptyLead}</p>
              </EmptyState>
            )
          ) : (
            <>
              <p role="status" className="mb-2 text-sm text-muted">
                {library.count(items.length, hasNextPage)}
              </p>
              <VirtualRows
                label={library.title}
                rows={items}
                rowKey={(item) => item.id}
                height={ROW}
                onEnd={() => {
                  if (hasNextPage && !isFetchingNextPage) void fetchNextPage();
                }}
              >
                {(item) => <Row item={item} />}
              </VirtualRows>
            </>
          )
        }
      </Loaded>
      {adding && <AddMedia onClose={() => setAdding(false)} />}
    </>
  );
}

function Row({ item }: { item: Media }) {
  return (
    <Link
      to="/library/$mediaId"
      params={{ mediaId: item.id }}
      className="flex h-[52px] items-center gap-4 rounded-lg border bg-surface px-4 hover:border-border-strong"
    >
      <span className="min-w-0 flex-1 truncate font-medium">{item.title}</span>
      {item.year && <span className="text-muted tabular-nums">{item.year}</span>}
      <Badge tone="outline">{item.kind}</Badge>
      <RelativeTime at={item.createdAt} className="hidden w-32 text-right text-sm text-muted sm:block" />
    </Link>
  );
}
