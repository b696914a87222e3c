import { queryOptions } from "@tanstack/react-query";
import { unwrap } from "./client";
import {
  type DeadLetter,
  type EventRecord,
  eventsDeadLetters,
  eventsDiscard,
  eventsList,
  eventsReplay,
  eventsRetry,
  eventsRetryAll,
  eventsSubscriptions,
  type Subscription,
} from "./generated";
import { pagedQuery } from "./paging";

export type { DeadLetter, EventRecord, Subscription };

/** Which events are looked for; moments as ISO strings. */
export interface EventFilter {
  /** How the type begins. */
  type?: string;
  /** `/nimbus`, or `/plugins/<id>`. */
  source?: string;
  /** In the type, the subject or the data. */
  text?: string;
  since?: string;
  until?: string;
}

export const eventsQuery = (filter: EventFilter = {}, limit = 100) =>
  pagedQuery<EventRecord>(["events", "list", filter, limit], (cursor, signal) =>
    unwrap(eventsList({ query: { limit, ...filter, ...(cursor && { cursor: Number(cursor) }) }, signal })),
  );

export const subscriptionsQuery = queryOptions({
  queryKey: ["events", "subscriptions"],
  queryFn: async ({ signal }) => (await unwrap(eventsSubscriptions({ signal }))).items,
  refetchInterval: 10_000,
});

/** The name of the schedule, where a subscriber is one of a plugin's schedules. */
export const scheduleOf = (subscriber: string): string | undefined =>
  subscriber.startsWith("schedule:") ? subscriber.split(":").slice(2).join(":") : undefined;

/** Those of one subscriber. */
export const deadLettersOf = (subscriber: string) =>
  pagedQuery<DeadLetter>(["events", "dead", subscriber], (cursor, signal) =>
    unwrap(
      eventsDeadLetters({
        query: { limit: 50, subscriber, ...(cursor && { cursor: Number(cursor) }) },
        signal,
      }),
    ),
  );

export const deadLettersQuery = pagedQuery<DeadLetter>(["events", "dead"], (cursor, signal) =>
  unwrap(eventsDeadLetters({ query: { limit: 100, ...(cursor && { cursor: Number(cursor) }) }, signal })),
);

/** Deliver every kept event of the last while again that fits the subscriber. */
export const replay = (subscriber: string, since: Date) =>
  unwrap(eventsReplay({ path: { subscriber }, body: { since: since.toISOString() } }));
export const retryLetter = (letter: string) => unwrap(eventsRetry({ path: { letter: Number(letter) } }));
export const retryLetters = (subscriber: string) => unwrap(eventsRetryAll({ path: { subscriber } }));
export const discardLetter = (letter: string) => unwrap(eventsDiscard({ path: { letter: Number(letter) } }));
