import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { deadLettersQuery, scheduleOf, subscriptionsQuery } from "@/api/events";
import { More } from "@/components/more";
import { RelativeTime } from "@/components/relative-time";
import { Button } from "@/components/ui/button";
import { Card } from "@/components/ui/card";
import { DataTable } from "@/components/ui/data-table";
import { Heading } from "@/components/ui/heading";
import { texts } from "@/texts";
import { EventData } from "./event-data";
import { useLetters } from "./use-letters";

const { events } = texts;

/** Only there when there is something in it: it asks for a decision. */
export function DeadLetters() {
  const query = useInfiniteQuery(deadLettersQuery);
  const { data: subscriptions = [] } = useQuery(subscriptionsQuery);
  const letters = useLetters();
  const rows = query.data ?? [];
  if (rows.length === 0) return null;
  const subscribers = [...new Set(rows.map((row) => row.subscriber))];
  const nameOf = (subscriber: string) => {
    const name = subscriptions.find((one) => one.subscriber === subscriber)?.name ?? subscriber;
    const schedule = scheduleOf(subscriber);
    return schedule ? `${name}, ${events.schedule(schedule)}` : name;
  };
  return (
    <Card aria-labelledby="dead-heading" className="grid grid-cols-1 gap-3">
      <div className="flex flex-wrap items-center justify-between gap-3">
        <Heading id="dead-heading">{events.deadLetters}</Heading>
        <div className="flex flex-wrap gap-2">
          {subscribers.map((subscriber) => (
            <Button
              key={subscriber}
              size="small"
              busy={letters.isRetryingAll(subscriber)}
              className="h-auto min-h-8 shrink py-1 whitespace-normal"
              onClick={() => letters.retryAll(subscriber)}
            >
              {events.retryAll(nameOf(subscriber))}
            </Button>
          ))}
        </div>
      </div>
      <p className="text-pretty text-muted">{events.deadLead}</p>
      {letters.failure}
      <DataTable
        label={events.deadLetters}
        rows={rows}
        rowKey={(row) => row.id}
        columns={[
          {
            title: texts.audit.at,
            className: "whitespace-nowrap text-muted",
            cell: (row) => <RelativeTime at={row.failedAt} />,
          },
          { title: events.subscriber, cell: (row) => nameOf(row.subscriber) },
          {
            title: events.type,
            cell: (row) => (
              <>
                <code className="font-mono text-[0.8125rem]">{row.event.type}</code>
                <span className="block text-danger break-words">{row.error}</span>
                <EventData event={row.event} />
              </>
            ),
          },
          {
            title: texts.access.people.actions,
            bare: true,
            cell: (row) => (
              <div className="flex justify-end gap-1">
                <Button
                  size="small"
                  busy={letters.isRetrying(row)}
                  onClick={() => letters.retry(row)}
                  aria-label={events.retryOf(row.event.type)}
                >
                  {texts.common.retry}
                </Button>
                <Button
                  size="small"
                  variant="danger"
                  onClick={() => letters.discard(row)}
                  aria-label={events.discardOf(row.event.type)}
                >
                  {events.discard}
                </Button>
              </div>
            ),
          },
        ]}
      />
      <More {...query} />
      {letters.question}
    </Card>
  );
}
