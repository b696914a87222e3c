import { useInfiniteQuery } from "@tanstack/react-query";
import { deadLettersOf } from "@/api/events";
import { Loaded } from "@/components/loaded";
import { More } from "@/components/more";
import { RelativeTime } from "@/components/relative-time";
import { Button } from "@/components/ui/button";
import { Card } from "@/components/ui/card";
import { Heading } from "@/components/ui/heading";
import { useLetters } from "@/features/events/use-letters";
import { texts } from "@/texts";

const { events, pluginEvents } = texts;

/** What was given up after eight attempts: to be delivered again, one or all, or forgotten. */
export function DeadLettersCard({ pluginId }: { pluginId: string }) {
  const subscriber = `plugin:${pluginId}`;
  const query = useInfiniteQuery(deadLettersOf(subscriber));
  const letters = useLetters();
  return (
    <Card aria-labelledby="letters-heading" className="grid grid-cols-1 gap-3">
      <div className="flex flex-wrap items-center justify-between gap-3">
        <Heading id="letters-heading">{events.deadLetters}</Heading>
        {(query.data?.length ?? 0) > 0 && (
          <Button size="small" busy={letters.isRetryingAll(subscriber)} onClick={() => letters.retryAll(subscriber)}>
            {pluginEvents.retryAll}
          </Button>
        )}
      </div>
      {letters.failure}
      <Loaded query={query} failed={pluginEvents.lettersFailed}>
        {(rows) =>
          rows.length === 0 ? (
            <p className="text-muted">{pluginEvents.noLetters}</p>
          ) : (
            <>
              <p className="text-pretty text-muted">{events.deadLead}</p>
              <ul className="grid gap-4">
                {rows.map((row) => (
                  <li key={row.id} className="flex flex-wrap items-start gap-x-4 gap-y-2">
                    <div className="grid min-w-0 flex-1 basis-64 gap-1">
                      <code className="font-mono text-[0.8125rem] break-all">{row.event.type}</code>
                      <span className="text-sm break-words text-danger">{row.error}</span>
                      <RelativeTime at={row.failedAt} className="text-sm text-muted" />
                    </div>
                    <div className="flex gap-2">
                      <Button
                        size="small"
                        busy={letters.isRetrying(row)}
                        aria-label={events.retryOf(row.event.type)}
                        onClick={() => letters.retry(row)}
                      >
                        {texts.common.retry}
                      </Button>
                      <Button
                        size="small"
                        variant="danger"
                        aria-label={events.discardOf(row.event.type)}
                        onClick={() => letters.discard(row)}
                      >
                        {events.discard}
                      </Button>
                    </div>
                  </li>
                ))}
              </ul>
            </>
          )
        }
      </Loaded>
      <More {...query} />
      {letters.question}
    </Card>
  );
}
