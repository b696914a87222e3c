import { queryOptions } from "@tanstack/react-query";
import { unwrap } from "./client";
import {
  type NewWebhook,
  type Webhook,
  type WebhookCreate,
  type WebhookTest,
  type WebhookUpdate,
  webhooksCreate,
  webhooksDelete,
  webhooksList,
  webhooksRotate,
  webhooksTest,
  webhooksUpdate,
} from "./generated";

export type { NewWebhook, Webhook, WebhookCreate, WebhookTest };

export const webhooksQuery = queryOptions({
  queryKey: ["webhooks"],
  queryFn: async ({ signal }) => (await unwrap(webhooksList({ signal }))).items,
});

export const createWebhook = (body: WebhookCreate) => unwrap(webhooksCreate({ body }));
export const updateWebhook = (id: string, body: WebhookUpdate) =>
  unwrap(webhooksUpdate({ path: { webhook_id: id }, body }));
export const deleteWebhook = (id: string) => unwrap(webhooksDelete({ path: { webhook_id: id } }));
/** The old secret signs nothing any more. */
export const rotateSecret = (id: string) => unwrap(webhooksRotate({ path: { webhook_id: id } }));
export const testWebhook = (id: string) => unwrap(webhooksTest({ path: { webhook_id: id } }));
