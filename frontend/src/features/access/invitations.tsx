import { useInfiniteQuery, useMutation, useQueryClient } from "@tanstack/react-query";
import { MailPlus } from "lucide-react";
import { type FormEvent, useState } from "react";
import {
  createInvitation,
  type Invitation,
  invitationsQuery,
  type NewInvitation,
  withdrawInvitation,
} from "@/api/access";
import { fieldError, messageOf } from "@/api/problem";
import { Loaded } from "@/components/loaded";
import { More } from "@/components/more";
import { exactTime } from "@/components/relative-time";
import { notify } from "@/components/toasts";
import { Alert } from "@/components/ui/alert";
import { Badge } from "@/components/ui/badge";
import { Button } from "@/components/ui/button";
import { Card } from "@/components/ui/card";
import { Confirm } from "@/components/ui/confirm";
import { DataTable } from "@/components/ui/data-table";
import { Dialog } from "@/components/ui/dialog";
import { EmptyState } from "@/components/ui/empty-state";
import { Field } from "@/components/ui/field";
import { Heading } from "@/components/ui/heading";
import { SelectField } from "@/components/ui/select-field";
import { ShownOnce } from "@/components/ui/shown-once";
import { texts } from "@/texts";
import { ROLES } from "./roles";

const { invitations } = texts.access;
const TONES = { open: "accent", accepted: "positive", expired: "neutral" } as const;
const LIFETIMES = Object.entries(invitations.lifetimes).map(([value, label]) => ({ value, label }));

type Open = { kind: "add" } | { kind: "shown"; made: NewInvitation } | { kind: "withdraw"; given: Invitation } | null;

export function InvitationsCard() {
  const query = useInfiniteQuery(invitationsQuery);
  const [open, setOpen] = useState<Open>(null);
  const close = () => setOpen(null);
  return (
    <Card aria-labelledby="invitations-heading">
      <div className="mb-3 flex flex-wrap items-start justify-between gap-3">
        <div className="min-w-0 flex-1 basis-64">
          <Heading id="invitations-heading">{invitations.title}</Heading>
          <p className="mt-1 text-pretty text-muted">{invitations.lead}</p>
        </div>
        <Button size="small" onClick={() => setOpen({ kind: "add" })}>
          <MailPlus aria-hidden="true" />
          {invitations.add}
        </Button>
      </div>
      <Loaded query={query} failed={invitations.loadFailed}>
        {(rows) =>
          rows.length === 0 ? (
            <EmptyState icon={MailPlus} title={invitations.emptyTitle}>
              <p>{invitations.emptyLead}</p>
            </EmptyState>
          ) : (
            <Table rows={rows} onWithdraw={(given) => setOpen({ kind: "withdraw", given })} />
          )
        }
      </Loaded>
      <More {...query} />
      {open?.kind === "add" && <Invite onClose={close} onMade={(made) => setOpen({ kind: "shown", made })} />}
      {open?.kind === "shown" && (
        <ShownOnce
          title={invitations.madeTitle}
          warning={invitations.once}
          value={new URL(open.made.path, location.origin).href}
          copy={invitations.copy}
          onClose={close}
        >
          <p className="text-sm text-muted">{texts.invitation.until(exactTime(open.made.expiresAt))}</p>
        </ShownOnce>
      )}
      {open?.kind === "withdraw" && <Withdraw given={open.given} onClose={close} />}
    </Card>
  );
}

const nameOf = (given: Invitation): string => given.note || invitations.unnamed;

function Table({ rows, onWithdraw }: { rows: readonly Invitation[]; onWithdraw: (given: Invitation) => void }) {
  return (
    <DataTable
      label={invitations.title}
      rows={rows}
      rowKey={(given) => given.id}
      columns={[
        {
          title: invitations.note,
          cell: (given) => (
            <span className={given.note ? "font-medium break-words" : "text-muted"}>{nameOf(given)}</span>
          ),
        },
        { title: invitations.role, cell: (given) => texts.session[given.role] },
        {
          title: invitations.state,
          cell: (given) => (
            <span className="flex flex-wrap items-center gap-2">
              <Badge tone={TONES[given.state]}>{invitations.states[given.state]}</Badge>
              {given.username && (
                <span className="text-muted break-all">{invitations.acceptedBy(given.username)}</span>
              )}
            </span>
          ),
        },
        {
          title: invitations.expires,
          className: "whitespace-nowrap text-muted",
          cell: (given) => exactTime(given.expiresAt),
        },
        {
          title: invitations.actions,
          bare: true,
          cell: (given) => {
            const open = given.state === "open";
            return (
              <div className="flex justify-end">
                <Button
                  size="small"
                  variant={open ? "danger" : "ghost"}
                  aria-label={open ? invitations.withdrawOf(nameOf(given)) : invitations.forgetOf(nameOf(given))}
                  onClick={() => onWithdraw(given)}
                >
                  {open ? invitations.withdraw : invitations.forget}
                </Button>
              </div>
            );
          },
        },
      ]}
    />
  );
}

function Invite({ onClose, onMade }: { onClose: () => void; onMade: (made: NewInvitation) => void }) {
  const client = useQueryClient();
  const make = useMutation({
    mutationFn: createInvitation,
    onSuccess: async (made) => {
      onMade(made);
      await client.invalidateQueries({ queryKey: ["invitations"] });
    },
  });
  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    if (make.isPending) return;
    const data = new FormData(event.currentTarget);
    make.mutate({
      note: String(data.get("note")).trim(),
      role: data.get("role") as "admin" | "user",
      hours: Number(data.get("hours")),
    });
  };
  const note = fieldError(make.error, "note");
  return (
    <Dialog title={invitations.add} onClose={onClose}>
      <form onSubmit={submit} className="grid gap-4">
        {make.isError && !note && (
          <Alert level="error" urgent>
            {messageOf(make.error)}
          </Alert>
        )}
        <Field
          label={invitations.note}
          name="note"
          help={invitations.noteHelp}
          error={note}
          maxLength={200}
          autoComplete="off"
        />
        <SelectField
          label={invitations.role}
          name="role"
          help={texts.access.people.roleHelp}
          options={ROLES}
          defaultValue="user"
        />
        <SelectField label={invitations.lifetime} name="hours" options={LIFETIMES} defaultValue="72" />
        <div className="flex justify-end gap-3">
          <Button onClick={onClose}>{texts.confirm.cancel}</Button>
          <Button type="submit" variant="primary" busy={make.isPending}>
            {invitations.make}
          </Button>
        </div>
      </form>
    </Dialog>
  );
}

function Withdraw({ given, onClose }: { given: Invitation; onClose: () => void }) {
  const client = useQueryClient();
  const open = given.state === "open";
  const withdraw = useMutation({
    mutationFn: () => withdrawInvitation(given.id),
    onSuccess: async () => {
      await client.invalidateQueries({ queryKey: ["invitations"] });
      if (open) notify(invitations.withdrawn);
      onClose();
    },
  });
  return (
    <Confirm
      title={open ? invitations.withdrawOf(nameOf(given)) : invitations.forgetOf(nameOf(given))}
      action={open ? invitations.withdraw : invitations.forget}
      busy={withdraw.isPending}
      error={withdraw.error}
      onConfirm={() => withdraw.mutate()}
      onClose={onClose}
    >
      <p>{invitations.withdrawLead}</p>
    </Confirm>
  );
}
