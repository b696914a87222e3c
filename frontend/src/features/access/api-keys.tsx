import { useInfiniteQuery, useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { KeyRound, Plus } from "lucide-react";
import { type FormEvent, useState } from "react";
import { type ApiKey, apiKeysQuery, createApiKey, type NewApiKey, revokeApiKey } from "@/api/access";
import { pluginsQuery } from "@/api/plugins";
import { fieldError, messageOf } from "@/api/problem";
import { Loaded } from "@/components/loaded";
import { More } from "@/components/more";
import { exactTime, RelativeTime } from "@/components/relative-time";
import { notify } from "@/components/toasts";
import { Alert } from "@/components/ui/alert";
import { Badge } from "@/components/ui/badge";
import { Button } from "@/components/ui/button";
import { Card } from "@/components/ui/card";
import { CheckField } from "@/components/ui/check-field";
import { Confirm } from "@/components/ui/confirm";
import { DataTable } from "@/components/ui/data-table";
import { Dialog } from "@/components/ui/dialog";
import { EmptyState } from "@/components/ui/empty-state";
import { Field } from "@/components/ui/field";
import { Heading } from "@/components/ui/heading";
import { SelectField } from "@/components/ui/select-field";
import { ShownOnce } from "@/components/ui/shown-once";
import { texts } from "@/texts";
import { expiryOf, LIFETIMES, scopeChoices } from "./scopes";

const { keys } = texts.access;

type Open = { kind: "add" } | { kind: "shown"; made: NewApiKey } | { kind: "revoke"; given: ApiKey } | null;

export function ApiKeysCard() {
  const query = useInfiniteQuery(apiKeysQuery);
  const [open, setOpen] = useState<Open>(null);
  const close = () => setOpen(null);
  return (
    <Card aria-labelledby="keys-heading">
      <div className="mb-3 flex flex-wrap items-center justify-between gap-3">
        <Heading id="keys-heading">{keys.title}</Heading>
        <Button size="small" onClick={() => setOpen({ kind: "add" })}>
          <Plus aria-hidden="true" />
          {keys.add}
        </Button>
      </div>
      <Loaded query={query} failed={keys.loadFailed}>
        {(rows) =>
          rows.length === 0 ? (
            <EmptyState icon={KeyRound} title={keys.emptyTitle}>
              <p>{keys.emptyLead}</p>
            </EmptyState>
          ) : (
            <DataTable
              label={keys.title}
              rows={rows}
              rowKey={(item) => item.id}
              columns={[
                {
                  title: keys.name,
                  cell: (item) => (
                    <>
                      <span className="font-medium break-words">{item.name}</span>
                      <code className="block font-mono text-xs text-muted">{item.prefix}…</code>
                    </>
                  ),
                },
                {
                  title: keys.scopes,
                  cell: (item) => (
                    <span className="flex min-w-40 flex-wrap gap-1">
                      {item.scopes.length === 0 && <span className="text-muted">{keys.noScopes}</span>}
                      {item.scopes.map((scope) => (
                        <Badge key={scope} tone="outline">
                          {scope}
                        </Badge>
                      ))}
                    </span>
                  ),
                },
                {
                  title: keys.used,
                  className: "whitespace-nowrap text-muted",
                  cell: (item) => (item.lastUsedAt ? <RelativeTime at={item.lastUsedAt} /> : keys.never),
                },
                {
                  title: keys.expires,
                  className: "whitespace-nowrap text-muted",
                  cell: (item) => (item.expiresAt ? exactTime(item.expiresAt) : keys.never),
                },
                {
                  title: keys.actions,
                  bare: true,
                  cell: (item) => (
                    <div className="flex justify-end">
                      <Button
                        size="small"
                        variant="danger"
                        aria-label={keys.revokeOf(item.name)}
                        onClick={() => setOpen({ kind: "revoke", given: item })}
                      >
                        {keys.revoke}
                      </Button>
                    </div>
                  ),
                },
              ]}
            />
          )
        }
      </Loaded>
      <More {...query} />
      {open?.kind === "add" && <MakeKey onClose={close} onMade={(made) => setOpen({ kind: "shown", made })} />}
      {open?.kind === "shown" && (
        <ShownOnce
          title={keys.madeTitle(open.made.name)}
          warning={keys.once}
          value={open.made.key}
          copy={keys.copy}
          onClose={close}
        />
      )}
      {open?.kind === "revoke" && <Revoke given={open.given} onClose={close} />}
    </Card>
  );
}

function MakeKey({ onClose, onMade }: { onClose: () => void; onMade: (made: NewApiKey) => void }) {
  const client = useQueryClient();
  const { data: plugins } = useQuery(pluginsQuery(true));
  const [scopes, setScopes] = useState<ReadonlySet<string>>(new Set());
  const make = useMutation({
    mutationFn: createApiKey,
    onSuccess: async (made) => {
      onMade(made);
      await client.invalidateQueries({ queryKey: ["api-keys"] });
    },
  });
  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    if (make.isPending) return;
    const data = new FormData(event.currentTarget);
    make.mutate({
      name: String(data.get("name")),
      scopes: [...scopes],
      expiresAt: expiryOf(String(data.get("lifetime")), new Date()),
    });
  };
  const toggle = (scope: string, on: boolean) => {
    const next = new Set(scopes);
    if (on) next.add(scope);
    else next.delete(scope);
    setScopes(next);
  };
  const name = fieldError(make.error, "name");
  return (
    <Dialog title={keys.addTitle} onClose={onClose}>
      <form onSubmit={submit} className="grid gap-4">
        {make.isError && !name && (
          <Alert level="error" urgent>
            {messageOf(make.error)}
          </Alert>
        )}
        <Field label={keys.name} name="name" help={keys.nameHelp} error={name} autoComplete="off" required />
        <fieldset className="grid gap-3">
          <legend className="mb-2 text-sm font-medium">{keys.scopes}</legend>
          {scopeChoices(plugins ?? []).map(({ scope, explanation }) => (
            <CheckField
              key={scope}
              label={scope}
              help={explanation}
              checked={scopes.has(scope)}
              onChange={(event) => toggle(scope, event.target.checked)}
            />
          ))}
        </fieldset>
        <SelectField label={keys.lifetime} name="lifetime" options={LIFETIMES} defaultValue="90" />
        <div className="flex justify-end gap-3">
          <Button onClick={onClose}>{texts.confirm.cancel}</Button>
          <Button type="submit" variant="primary" busy={make.isPending}>
            {keys.make}
          </Button>
        </div>
      </form>
    </Dialog>
  );
}

function Revoke({ given, onClose }: { given: ApiKey; onClose: () => void }) {
  const client = useQueryClient();
  const revoke = useMutation({
    mutationFn: () => revokeApiKey(given.id),
    onSuccess: async () => {
      await client.invalidateQueries({ queryKey: ["api-keys"] });
      notify(keys.revoked(given.name));
      onClose();
    },
  });
  return (
    <Confirm
      title={keys.revokeOf(given.name)}
      action={keys.revoke}
      busy={revoke.isPending}
      error={revoke.error}
      onConfirm={() => revoke.mutate()}
      onClose={onClose}
    >
      <p>{keys.revokeLead}</p>
    </Confirm>
  );
}
