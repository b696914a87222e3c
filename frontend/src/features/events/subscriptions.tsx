import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { replay, type Subscription, scheduleOf, subscriptionsQuery } from "@/api/events";
import { Loaded } from "@/components/loaded";
import { Badge } from "@/components/ui/badge";
import { Button } from "@/components/ui/button";
import { Card } from "@/components/ui/card";
import { Confirm } from "@/components/ui/confirm";
import { DataTable } from "@/components/ui/data-table";
import { Heading } from "@/components/ui/heading";
import { texts } from "@/texts";
import { SUBSCRIPTION_TONES } from "./tones";
import { useDelivery } from "./use-delivery";

const { events } = texts;
const HOUR_MS = 3_600_000;

/** What it is told of; a schedule only of its own moments. */
const wantedBy = ({ subscriber, patterns }: Subscription): string => {
  const schedule = scheduleOf(subscriber);
  return schedule ? events.schedule(schedule) : patterns.join(" ");
};

/** Who is told, and how far behind each is. */
export function Subscriptions() {
  const query = useQuery(subscriptionsQuery);
  const [asked, setAsked] = useState<Subscription | null>(null);
  const again = useDelivery(
    (given: Subscription) => replay(given.subscriber, new Date(Date.now() - HOUR_MS)),
    events.queued,
    () => setAsked(null),
  );
  return (
    <Card aria-labelledby="subscriptions-heading">
      <Heading id="subscriptions-heading" className="mb-3">
        {events.subscriptions}
      </Heading>
      <Loaded query={query} failed={events.subscriptionsFailed}>
        {(rows) =>
          rows.length === 0 ? (
            <p className="text-muted">{events.noSubscriptions}</p>
          ) : (
            <DataTable
              label={events.subscriptions}
              rows={rows}
              rowKey={(row) => row.subscriber}
              columns={[
                {
                  title: events.subscriber,
                  cell: (row) => (
                    <>
                      <span className="font-medium">{row.name}</span>
                      <code className="block font-mono text-xs text-muted break-all">{wantedBy(row)}</code>
                    </>
                  ),
                },
                {
                  title: events.status,
                  cell: (row) => (
                    <>
                      <Badge tone={SUBSCRIPTION_TONES[row.status]}>{events.statuses[row.status]}</Badge>
                      {row.lastError && <span className="block text-danger break-words">{row.lastError}</span>}
                    </>
                  ),
                },
                { title: events.lag, className: "tabular-nums", cell: (row) => row.lag },
                { title: events.delivered, className: "tabular-nums", cell: (row) => row.delivered },
                {
                  title: texts.access.people.actions,
                  bare: true,
                  cell: (row) => (
                    <Button
                      size="small"
                      variant="ghost"
                      aria-label={events.replayOf(row.name)}
                      onClick={() => setAsked(row)}
                    >
                      {events.replay}
                    </Button>
                  ),
                },
              ]}
            />
          )
        }
      </Loaded>
      {asked && (
        <Confirm
          title={events.replayOf(asked.name)}
          action={events.replay}
          busy={again.isPending}
          error={again.error}
          onConfirm={() => again.mutate(asked)}
          onClose={() => setAsked(null)}
        >
          <p>{events.replayLead}</p>
        </Confirm>
      )}
    </Card>
  );
}
