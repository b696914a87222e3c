import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { Plus, Webhook as WebhookIcon } from "lucide-react";
import { useState } from "react";
import { subscriptionsQuery } from "@/api/events";
import { messageOf } from "@/api/problem";
import { type NewWebhook, testWebhook, updateWebhook, type Webhook, webhooksQuery } from "@/api/webhooks";
import { Loaded } from "@/components/loaded";
import { PageHeader } from "@/components/page";
import { notify } from "@/components/toasts";
import { Alert } from "@/components/ui/alert";
import { Button } from "@/components/ui/button";
import { Card } from "@/components/ui/card";
import { EmptyState } from "@/components/ui/empty-state";
import { ShownOnce } from "@/components/ui/shown-once";
import { texts } from "@/texts";
import { DeleteWebhook, NewSecret, PauseWebhook } from "./webhook-changes";
import { WebhookForm } from "./webhook-form";
import { WebhookItem } from "./webhook-item";

const { webhooks } = texts;

type Open =
  | { kind: "add" }
  | { kind: "edit" | "pause" | "secret" | "delete"; webhook: Webhook }
  | { kind: "shown"; made: NewWebhook }
  | null;

/** Where events are posted to, and how that goes. */
export default function WebhooksPage() {
  const query = useQuery(webhooksQuery);
  const { data: subscriptions } = useQuery(subscriptionsQuery);
  const client = useQueryClient();
  const [open, setOpen] = useState<Open>(null);
  const close = () => setOpen(null);
  const shown = (made: NewWebhook) => setOpen({ kind: "shown", made });
  const resume = useMutation({
    mutationFn: (webhook: Webhook) => updateWebhook(webhook.id, { enabled: true }),
    onSuccess: () =>
      Promise.all([["webhooks"], ["events"]].map((queryKey) => client.invalidateQueries({ queryKey }))),
    onError: (error) => notify(messageOf(error)),
  });
  const test = useMutation({ mutationFn: (webhook: Webhook) => testWebhook(webhook.id) });
  return (
    <>
      <PageHeader
        title={webhooks.title}
        lead={webhooks.lead}
        actions={
          <Button onClick={() => setOpen({ kind: "add" })}>
            <Plus aria-hidden="true" />
            {webhooks.add}
          </Button>
        }
      />
      <Card aria-label={webhooks.list}>
        <div aria-live="polite" className="not-empty:mb-5">
          {test.isSuccess && (
            <Alert
              level={test.data.outcome === "done" ? "info" : "error"}
              title={webhooks.tested[test.data.outcome](test.variables.name)}
            >
              {test.data.detail}
            </Alert>
          )}
          {test.isError && <Alert level="error">{messageOf(test.error)}</Alert>}
        </div>
        <Loaded query={query} failed={webhooks.loadFailed}>
          {(items) =>
            items.length === 0 ? (
              <EmptyState icon={WebhookIcon} title={webhooks.emptyTitle}>
                <p>{webhooks.emptyLead}</p>
              </EmptyState>
            ) : (
              <ul aria-label={webhooks.list} className="grid gap-6">
                {items.map((webhook) => (
                  <WebhookItem
                    key={webhook.id}
                    webhook={webhook}
                    subscription={subscriptions?.find((one) => one.subscriber === webhook.subscriber)}
                    testing={test.isPending && test.variables.id === webhook.id}
                    onTest={() => test.mutate(webhook)}
                    onResume={() => resume.mutate(webhook)}
                    onOpen={(kind) => setOpen({ kind, webhook })}
                  />
                ))}
              </ul>
            )
          }
        </Loaded>
      </Card>
      {open?.kind === "add" && <WebhookForm onClose={close} onMade={shown} />}
      {open?.kind === "edit" && <WebhookForm webhook={open.webhook} onClose={close} onMade={shown} />}
      {open?.kind === "pause" && <PauseWebhook webhook={open.webhook} onClose={close} />}
      {open?.kind === "secret" && <NewSecret webhook={open.webhook} onClose={close} onMade={shown} />}
      {open?.kind === "delete" && <DeleteWebhook webhook={open.webhook} onClose={close} />}
      {open?.kind === "shown" && (
        <ShownOnce
          title={webhooks.secretTitle(open.made.name)}
          warning={webhooks.secretOnce}
          value={open.made.secret}
          copy={webhooks.copy}
          onClose={close}
        >
          <p className="text-sm text-pretty text-muted">{webhooks.secretHelp}</p>
        </ShownOnce>
      )}
    </>
  );
}
