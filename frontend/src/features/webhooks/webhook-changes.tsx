import { useMutation, useQueryClient } from "@tanstack/react-query";
import { deleteWebhook, type NewWebhook, rotateSecret, updateWebhook, type Webhook } from "@/api/webhooks";
import { notify } from "@/components/toasts";
import { Confirm } from "@/components/ui/confirm";
import { texts } from "@/texts";

const { webhooks } = texts;

interface ChangeProps {
  webhook: Webhook;
  onClose: () => void;
}

/** A change of a webhook after which its state and its deliveries are read again. */
function useChange<Result>(change: () => Promise<Result>, done: (result: Result) => void) {
  const client = useQueryClient();
  return useMutation({
    mutationFn: change,
    onSuccess: async (result) => {
      done(result);
      await Promise.all([["webhooks"], ["events"]].map((queryKey) => client.invalidateQueries({ queryKey })));
    },
  });
}

export function PauseWebhook({ webhook, onClose }: ChangeProps) {
  const pause = useChange(() => updateWebhook(webhook.id, { enabled: false }), onClose);
  return (
    <Confirm
      title={webhooks.pauseOf(webhook.name)}
      action={webhooks.pause}
      busy={pause.isPending}
      error={pause.error}
      onConfirm={() => pause.mutate()}
      onClose={onClose}
    >
      <p>{webhooks.pauseLead}</p>
    </Confirm>
  );
}

export function NewSecret({ webhook, onClose, onMade }: ChangeProps & { onMade: (made: NewWebhook) => void }) {
  const rotate = useChange(() => rotateSecret(webhook.id), onMade);
  return (
    <Confirm
      title={webhooks.secretOf(webhook.name)}
      action={webhooks.secret}
      busy={rotate.isPending}
      error={rotate.error}
      onConfirm={() => rotate.mutate()}
      onClose={onClose}
    >
      <p>{webhooks.secretLead}</p>
    </Confirm>
  );
}

export function DeleteWebhook({ webhook, onClose }: ChangeProps) {
  const remove = useChange(
    () => deleteWebhook(webhook.id),
    () => {
      notify(webhooks.deleted(webhook.name));
      onClose();
    },
  );
  return (
    <Confirm
      title={webhooks.deleteOf(webhook.name)}
      action={webhooks.delete}
      typed={webhook.name}
      busy={remove.isPending}
      error={remove.error}
      onConfirm={() => remove.mutate()}
      onClose={onClose}
    >
      <p>{webhooks.deleteLead}</p>
    </Confirm>
  );
}
