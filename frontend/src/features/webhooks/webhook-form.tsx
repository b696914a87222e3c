import { useMutation, useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { fieldError, messageOf } from "@/api/problem";
import { createWebhook, type NewWebhook, updateWebhook, type Webhook, type WebhookCreate } from "@/api/webhooks";
import { notify } from "@/components/toasts";
import { Alert } from "@/components/ui/alert";
import { Button } from "@/components/ui/button";
import { Dialog } from "@/components/ui/dialog";
import { Field } from "@/components/ui/field";
import { TextField } from "@/components/ui/text-field";
import { texts } from "@/texts";

const { webhooks } = texts;

export interface WebhookFormProps {
  /** The one that is changed; none when one is added. */
  webhook?: Webhook;
  onClose: () => void;
  onMade: (made: NewWebhook) => void;
}

/** The types of events that somebody wrote, a line or a space between them. */
export const patternsOf = (text: string): string[] => [...new Set(text.split(/[\s,]+/).filter(Boolean))];

export function WebhookForm({ webhook, onClose, onMade }: WebhookFormProps) {
  const client = useQueryClient();
  const [none, setNone] = useState(false);
  const save = useMutation({
    mutationFn: async (body: WebhookCreate): Promise<NewWebhook | null> => {
      if (!webhook) return createWebhook(body);
      await updateWebhook(webhook.id, body);
      return null;
    },
    onSuccess: async (made) => {
      if (made) onMade(made);
      else {
        notify(webhooks.saved);
        onClose();
      }
      await Promise.all([["webhooks"], ["events"]].map((queryKey) => client.invalidateQueries({ queryKey })));
    },
  });
  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const data = new FormData(event.currentTarget);
    const patterns = patternsOf(String(data.get("patterns")));
    setNone(patterns.length === 0);
    if (patterns.length === 0 || save.isPending) return;
    save.mutate({ name: String(data.get("name")).trim(), url: String(data.get("url")).trim(), patterns });
  };
  const [name, url, patterns] = ["name", "url", "patterns"].map((field) => fieldError(save.error, field));
  return (
    <Dialog title={webhook ? webhooks.editTitle(webhook.name) : webhooks.addTitle} onClose={onClose}>
      <form onSubmit={submit} className="grid gap-4">
        {save.isError && !name && !url && !patterns && (
          <Alert level="error" urgent>
            {messageOf(save.error)}
          </Alert>
        )}
        <Field
          label={webhooks.name}
          name="name"
          defaultValue={webhook?.name}
          error={name}
          maxLength={120}
          autoComplete="off"
          required
        />
        <Field
          label={webhooks.url}
          name="url"
          defaultValue={webhook?.url}
          help={webhooks.urlHelp}
          error={url}
          placeholder="https://"
          inputMode="url"
          autoComplete="off"
          required
        />
        <TextField
          label={webhooks.patterns}
          name="patterns"
          defaultValue={webhook?.patterns.join("\n") ?? webhooks.everything}
          help={webhooks.patternsHelp}
          error={none ? webhooks.noPattern : patterns}
          rows={3}
          autoCapitalize="none"
          spellCheck={false}
        />
        <div className="flex justify-end gap-3">
          <Button onClick={onClose}>{texts.confirm.cancel}</Button>
          <Button type="submit" variant="primary" busy={save.isPending}>
            {webhook ? webhooks.save : webhooks.make}
          </Button>
        </div>
      </form>
    </Dialog>
  );
}
