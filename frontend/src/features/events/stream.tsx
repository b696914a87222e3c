import { useInfiniteQuery } from "@tanstack/react-query";
import { Radio } from "lucide-react";
import { useState } from "react";
import { type EventFilter, eventsQuery } from "@/api/events";
import { Loaded } from "@/components/loaded";
import { More } from "@/components/more";
import { RelativeTime } from "@/components/relative-time";
import { Badge } from "@/components/ui/badge";
import { Card } from "@/components/ui/card";
import { DataTable } from "@/components/ui/data-table";
import { EmptyState } from "@/components/ui/empty-state";
import { Heading } from "@/components/ui/heading";
import { usePolling } from "@/live/use-live";
import { texts } from "@/texts";
import { EventData } from "./event-data";
import { EventFilters } from "./event-filters";
import { EventWords, SourceName } from "./event-words";

const { events } = texts;

/** What happened, newest first: what fits the filter appears at the top as it happens. */
export function Stream() {
  const polling = usePolling();
  const [filter, setFilter] = useState<EventFilter>({});
  const query = useInfiniteQuery({ ...eventsQuery(filter), refetchInterval: polling });
  const filtered = Object.keys(filter).length > 0;
  return (
    <Card aria-labelledby="events-heading">
      <Heading id="events-heading" className="mb-4">
        {events.stream}
      </Heading>
      <EventFilters filtered={filtered} onFilter={setFilter} />
      <Loaded query={query} failed={events.loadFailed}>
        {(rows) =>
          rows.length === 0 ? (
            <EmptyState icon={Radio} title={filtered ? texts.audit.noMatchTitle : events.emptyTitle}>
              <p>{filtered ? events.noMatchLead : events.emptyLead}</p>
            </EmptyState>
          ) : (
            <DataTable
              label={events.stream}
              rows={rows}
              rowKey={(row) => row.id}
              columns={[
                {
                  title: texts.audit.at,
                  className: "whitespace-nowrap text-muted",
                  cell: (row) => <RelativeTime at={row.time} />,
                },
                {
                  title: events.type,
                  cell: (row) => (
                    <>
                      <EventWords event={row} withType />
                      <EventData event={row} />
                    </>
                  ),
                },
                {
                  title: events.source,
                  cell: (row) => <SourceName source={row.source} />,
                },
                {
                  title: events.deliveries,
                  cell: (row) => (
                    <span className="flex flex-wrap gap-1">
                      {row.waiting > 0 && <Badge>{events.waiting(row.waiting)}</Badge>}
                      {row.dead > 0 && <Badge tone="danger">{events.dead(row.dead)}</Badge>}
                      {row.waiting + row.dead === 0 && <span className="text-muted">{events.complete}</span>}
                    </span>
                  ),
                },
              ]}
            />
          )
        }
      </Loaded>
      <More {...query} />
    </Card>
  );
}
