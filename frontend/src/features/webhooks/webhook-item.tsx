import { Link } from "@tanstack/react-router";
import type { Subscription } from "@/api/events";
import type { Webhook } from "@/api/webhooks";
import { Badge } from "@/components/ui/badge";
import { Button } from "@/components/ui/button";
import { SUBSCRIPTION_TONES } from "@/features/events/tones";
import { texts } from "@/texts";

const { webhooks, events } = texts;

export interface WebhookItemProps {
  webhook: Webhook;
  subscription: Subscription | undefined;
  testing: boolean;
  onTest: () => void;
  onResume: () => void;
  onOpen: (kind: "edit" | "pause" | "secret" | "delete") => void;
}

/** A webhook: where it goes, what it gets, how its deliveries stand. */
export function WebhookItem({ webhook, subscription, testing, onTest, onResume, onOpen }: WebhookItemProps) {
  const { name } = webhook;
  return (
    <li className="grid grid-cols-1 gap-2 border-b pb-6 last:border-0 last:pb-0">
      <div className="flex flex-wrap items-center gap-2">
        <h2 className="font-semibold break-words">{name}</h2>
        {!webhook.enabled ? (
          <Badge tone="warning">{webhooks.paused}</Badge>
        ) : (
          subscription && (
            <Badge tone={SUBSCRIPTION_TONES[subscription.status]}>{events.statuses[subscription.status]}</Badge>
          )
        )}
      </div>
      <code className="font-mono text-[0.8125rem] break-all">{webhook.url}</code>
      <p className="flex flex-wrap gap-1">
        {webhook.patterns.map((pattern) => (
          <Badge key={pattern} tone="outline" className="break-all">
            {pattern}
          </Badge>
        ))}
      </p>
      {subscription && (
        <p className="flex flex-wrap gap-x-3 text-sm text-muted tabular-nums">
          <span>{webhooks.delivered(subscription.delivered)}</span>
          {subscription.lag > 0 && <span>{webhooks.waiting(subscription.lag)}</span>}
          {subscription.deadLetters > 0 && (
            <span className="text-danger">
              {webhooks.dead(subscription.deadLetters)}{" "}
              <Link to="/events" className="underline underline-offset-2">
                {webhooks.lookAt}
              </Link>
            </span>
          )}
        </p>
      )}
      {subscription?.lastError && <p className="text-sm text-danger break-words">{subscription.lastError}</p>}
      <div className="mt-1 flex flex-wrap gap-2">
        <Button size="small" busy={testing} aria-label={webhooks.testOf(name)} onClick={onTest}>
          {testing ? webhooks.testing : webhooks.test}
        </Button>
        <Button size="small" variant="ghost" aria-label={webhooks.editOf(name)} onClick={() => onOpen("edit")}>
          {webhooks.edit}
        </Button>
        {webhook.enabled ? (
          <Button size="small" variant="ghost" aria-label={webhooks.pauseOf(name)} onClick={() => onOpen("pause")}>
            {webhooks.pause}
          </Button>
        ) : (
          <Button size="small" variant="ghost" aria-label={webhooks.resumeOf(name)} onClick={onResume}>
            {webhooks.resume}
          </Button>
        )}
        <Button size="small" variant="ghost" aria-label={webhooks.secretOf(name)} onClick={() => onOpen("secret")}>
          {webhooks.secret}
        </Button>
        <Button size="small" variant="danger" aria-label={webhooks.deleteOf(name)} onClick={() => onOpen("delete")}>
          {webhooks.delete}
        </Button>
      </div>
    </li>
  );
}
