import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { replay, type Subscription, subscriptionsQuery } from "@/api/events";
import type { PluginDetail } from "@/api/plugins";
import { Loaded } from "@/components/loaded";
import { Alert } from "@/components/ui/alert";
import { Badge } from "@/components/ui/badge";
import { Button } from "@/components/ui/button";
import { Card } from "@/components/ui/card";
import { Confirm } from "@/components/ui/confirm";
import { Heading } from "@/components/ui/heading";
import { useDelivery } from "@/features/events/use-delivery";
import { texts } from "@/texts";

const { events, pluginEvents } = texts;
const TONES = { active: "positive", waiting: "neutral", retrying: "warning", unsubscribed: "neutral" } as const;
const HOUR_MS = 3_600_000;

/** What events the plugin wants and tells, and how far behind it is. */
export function SubscriptionCard({ plugin }: { plugin: PluginDetail }) {
  const query = useQuery(subscriptionsQuery);
  const publishes = plugin.manifest?.events?.publish ?? [];
  return (
    <Card aria-labelledby="subscription-heading" className="grid grid-cols-1 gap-4">
      <Heading id="subscription-heading">{pluginEvents.title}</Heading>
      <Loaded query={query} failed={events.subscriptionsFailed}>
        {(rows) => {
          const own = rows.find(({ subscriber }) => subscriber === `plugin:${plugin.id}`);
          if (own) return <Subscribed subscription={own} />;
          const wants = plugin.manifest?.events?.subscribe ?? [];
          return <p className="text-muted">{wants.length === 0 ? pluginEvents.none : pluginEvents.notYet}</p>;
        }}
      </Loaded>
      {publishes.length > 0 && (
        <div className="grid gap-1">
          <p className="text-sm text-muted">{pluginEvents.publishes}</p>
          <Patterns patterns={publishes} />
        </div>
      )}
    </Card>
  );
}

const Patterns = ({ patterns }: { patterns: readonly string[] }) => (
  <ul className="grid gap-1">
    {patterns.map((pattern) => (
      <li key={pattern}>
        <code className="font-mono text-[0.8125rem] break-all">{pattern}</code>
      </li>
    ))}
  </ul>
);

function Subscribed({ subscription }: { subscription: Subscription }) {
  const [asked, setAsked] = useState(false);
  const again = useDelivery(
    () => replay(subscription.subscriber, new Date(Date.now() - HOUR_MS)),
    events.queued,
    () => setAsked(false),
  );
  return (
    <div className="grid grid-cols-1 gap-4">
      <div className="flex flex-wrap items-center gap-3">
        <Badge tone={TONES[subscription.status]}>{events.statuses[subscription.status]}</Badge>
        <span className="text-sm text-muted tabular-nums">
          {pluginEvents.figures(subscription.lag, subscription.lagSeconds, subscription.delivered)}
        </span>
        <Button size="small" className="ml-auto" onClick={() => setAsked(true)}>
          {events.replay}
        </Button>
      </div>
      {subscription.lastError && <Alert level="warning">{subscription.lastError}</Alert>}
      <div className="grid gap-1">
        <p className="text-sm text-pretty text-muted">
          {subscription.patterns.length > 0 ? pluginEvents.wants : pluginEvents.onlyOwn}
        </p>
        <Patterns patterns={subscription.patterns} />
      </div>
      {asked && (
        <Confirm
          title={events.replayOf(subscription.name)}
          action={events.replay}
          busy={again.isPending}
          error={again.error}
          onConfirm={() => again.mutate(undefined)}
          onClose={() => setAsked(false)}
        >
          <p>{events.replayLead}</p>
        </Confirm>
      )}
    </div>
  );
}
