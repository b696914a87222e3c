import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useRouter } from "@tanstack/react-router";
import { type FormEvent, useState } from "react";
import { createMedia, type Media, type MediaCreate, mediaItemQuery, updateMedia } from "@/api/media";
import { fieldError, messageOf } from "@/api/problem";
import { notify } from "@/components/toasts";
import { Alert } from "@/components/ui/alert";
import { Button } from "@/components/ui/button";
import { Dialog } from "@/components/ui/dialog";
import { Field } from "@/components/ui/field";
import { TextField } from "@/components/ui/text-field";
import { texts } from "@/texts";

const { library } = texts;

interface MediaFormProps {
  item?: Media;
  busy: boolean;
  error: unknown;
  action: string;
  onSubmit: (values: MediaCreate) => void;
  onClose: () => void;
}

function MediaForm({ item, busy, error, action, onSubmit, onClose }: MediaFormProps) {
  const [broken, setBroken] = useState(false);
  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    if (busy) return;
    const data = new FormData(event.currentTarget);
    const year = String(data.get("year"));
    try {
      const metadata: unknown = JSON.parse(String(data.get("metadata")).trim() || "{}");
      if (typeof metadata !== "object" || metadata === null || Array.isArray(metadata)) throw new TypeError();
      setBroken(false);
      onSubmit({
        title: String(data.get("title")).trim(),
        kind: String(data.get("kind")).trim(),
        year: year ? Number(year) : null,
        metadata: metadata as Record<string, unknown>,
      });
    } catch {
      setBroken(true);
      event.currentTarget.querySelector("textarea")?.focus();
    }
  };
  const at = (name: string) => fieldError(error, name);
  const atFields = ["title", "kind", "year", "metadata"].some(at);
  const wrong = broken ? library.notJson : at("metadata");
  return (
    <form onSubmit={submit} className="grid gap-4">
      {error !== null && !atFields && (
        <Alert level="error" urgent>
          {messageOf(error)}
        </Alert>
      )}
      <Field label={library.titleField} name="title" defaultValue={item?.title} error={at("title")} required />
      <div className="grid grid-cols-2 gap-4">
        <Field
          label={library.kind}
          name="kind"
          help={library.kindHelp}
          defaultValue={item?.kind ?? "movie"}
          error={at("kind")}
          pattern="[a-z][a-z0-9\-]{0,39}"
          autoCapitalize="none"
          required
        />
        <Field
          label={library.year}
          name="year"
          type="number"
          min={1}
          max={9999}
          defaultValue={item?.year ?? ""}
          error={at("year")}
        />
      </div>
      <TextField
        label={library.metadata}
        name="metadata"
        rows={6}
        defaultValue={JSON.stringify(item?.metadata ?? {}, null, 2)}
        error={wrong}
      />
      <div className="flex justify-end gap-3">
        <Button onClick={onClose}>{texts.confirm.cancel}</Button>
        <Button type="submit" variant="primary" busy={busy}>
          {action}
        </Button>
      </div>
    </form>
  );
}

export function AddMedia({ onClose }: { onClose: () => void }) {
  const client = useQueryClient();
  const router = useRouter();
  const add = useMutation({
    mutationFn: createMedia,
    onSuccess: async (item) => {
      await client.invalidateQueries({ queryKey: ["media"] });
      notify(library.added(item.title));
      onClose();
      await router.navigate({ to: "/library/$mediaId", params: { mediaId: item.id } });
    },
  });
  return (
    <Dialog title={library.addTitle} onClose={onClose}>
      <MediaForm
        busy={add.isPending}
        error={add.error}
        action={library.add}
        onSubmit={add.mutate}
        onClose={onClose}
      />
    </Dialog>
  );
}

export function EditMedia({ item, onClose }: { item: Media; onClose: () => void }) {
  const client = useQueryClient();
  const change = useMutation({
    // Metadata is merged by the server: what was taken out has to be named as gone.
    mutationFn: (values: MediaCreate) =>
      updateMedia(item, {
        ...values,
        metadata: {
          ...Object.fromEntries(Object.keys(item.metadata ?? {}).map((name) => [name, null])),
          ...values.metadata,
        },
      }),
    onSuccess: async (fresh) => {
      client.setQueryData(mediaItemQuery(item.id).queryKey, fresh);
      await client.invalidateQueries({ queryKey: ["media", "list"] });
      notify(library.changed);
      onClose();
    },
  });
  return (
    <Dialog title={library.editTitle(item.title)} onClose={onClose}>
      <MediaForm
        item={item}
        busy={change.isPending}
        error={change.error}
        action={library.save}
        onSubmit={change.mutate}
        onClose={onClose}
      />
    </Dialog>
  );
}
