import { useInfiniteQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { eventsQuery } from "@/api/events";
import { Loaded } from "@/components/loaded";
import { RelativeTime } from "@/components/relative-time";
import { Card } from "@/components/ui/card";
import { Heading } from "@/components/ui/heading";
import { EventWords } from "@/features/events/event-words";
import { usePolling } from "@/live/use-live";
import { texts } from "@/texts";

const { home, events } = texts;
const RECENT = 8;

/** The last events, as they happen. */
export function EventsCard() {
  const polling = usePolling();
  const query = useInfiniteQuery({ ...eventsQuery({}, RECENT), refetchInterval: polling });
  return (
    <Card aria-labelledby="recent-events-heading">
      <div className="flex items-center justify-between gap-3">
        <Heading id="recent-events-heading">{home.events}</Heading>
        <Link to="/events" className="rounded text-sm font-medium text-accent hover:underline">
          {home.everything}
        </Link>
      </div>
      <Loaded query={query} failed={events.loadFailed}>
        {(rows) =>
          rows.length === 0 ? (
            <p className="mt-3 text-muted">{events.emptyTitle}.</p>
          ) : (
            <ul className="mt-3 grid gap-2.5 text-sm">
              {rows.slice(0, RECENT).map((row) => (
                <li key={row.id} className="flex flex-wrap items-baseline gap-x-3">
                  <span className="min-w-0 flex-1 break-words" title={row.type}>
                    <EventWords event={row} />
                  </span>
                  <RelativeTime at={row.time} className="text-muted" />
                </li>
              ))}
            </ul>
          )
        }
      </Loaded>
    </Card>
  );
}
