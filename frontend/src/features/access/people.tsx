import { useInfiniteQuery, useMutation, useQueryClient } from "@tanstack/react-query";
import { UserPlus } from "lucide-react";
import { type FormEvent, useState } from "react";
import { type AdminUser, createUser, deleteUser, updateUser, usersQuery } from "@/api/access";
import { fieldError, messageOf } from "@/api/problem";
import type { User } from "@/api/session";
import { Loaded } from "@/components/loaded";
import { More } from "@/components/more";
import { RelativeTime } from "@/components/relative-time";
import { notify } from "@/components/toasts";
import { Alert } from "@/components/ui/alert";
import { Badge } from "@/components/ui/badge";
import { Button } from "@/components/ui/button";
import { Card } from "@/components/ui/card";
import { Confirm } from "@/components/ui/confirm";
import { DataTable } from "@/components/ui/data-table";
import { Dialog } from "@/components/ui/dialog";
import { Field } from "@/components/ui/field";
import { Heading } from "@/components/ui/heading";
import { SelectField } from "@/components/ui/select-field";
import { newPasswordErrors } from "@/features/auth/new-password";
import { PasswordField } from "@/features/auth/password-field";
import { texts } from "@/texts";
import { ROLES } from "./roles";
import { SessionsOf } from "./sessions-of";

const { people } = texts.access;

type Open = { kind: "add" } | { kind: "sessions" | "password" | "delete"; person: AdminUser } | null;

export function PeopleCard({ me }: { me: User }) {
  const query = useInfiniteQuery(usersQuery);
  const client = useQueryClient();
  const [open, setOpen] = useState<Open>(null);
  const change = useMutation({
    mutationFn: ({ person, ...body }: { person: AdminUser; role?: "admin" | "user"; disabled?: boolean }) =>
      updateUser(person.id, body),
    onSuccess: () => client.invalidateQueries({ queryKey: ["users"] }),
  });
  const close = () => setOpen(null);
  return (
    <Card aria-labelledby="people-heading">
      <div className="mb-3 flex flex-wrap items-center justify-between gap-3">
        <Heading id="people-heading">{people.title}</Heading>
        <Button size="small" onClick={() => setOpen({ kind: "add" })}>
          <UserPlus aria-hidden="true" />
          {people.add}
        </Button>
      </div>
      {change.isError && (
        <Alert level="error" urgent className="mb-3">
          {messageOf(change.error)}
        </Alert>
      )}
      <Loaded query={query} failed={people.loadFailed}>
        {(rows) => (
          <DataTable
            label={people.title}
            rows={rows}
            rowKey={(person) => person.id}
            columns={[
              {
                title: people.name,
                cell: (person) => (
                  <span className="flex flex-wrap items-center gap-2">
                    <span className="font-medium break-all">{person.username}</span>
                    {person.id === me.id && <Badge tone="accent">{people.you}</Badge>}
                    {person.disabled && <Badge tone="warning">{people.disabled}</Badge>}
                  </span>
                ),
              },
              {
                title: people.role,
                cell: (person) => (
                  <SelectField
                    bare
                    className="w-40"
                    label={people.roleOf(person.username)}
                    options={ROLES}
                    value={person.role}
                    disabled={person.id === me.id || change.isPending}
                    onChange={(event) => change.mutate({ person, role: event.target.value as "admin" | "user" })}
                  />
                ),
              },
              {
                title: people.since,
                className: "whitespace-nowrap text-muted",
                cell: (person) => <RelativeTime at={person.createdAt} />,
              },
              {
                title: people.actions,
                bare: true,
                cell: (person) => (
                  <div className="flex flex-wrap justify-end gap-1">
                    <Button
                      size="small"
                      variant="ghost"
                      aria-label={people.sessionsOf(person.username)}
                      onClick={() => setOpen({ kind: "sessions", person })}
                    >
                      {people.sessions}
                    </Button>
                    <Button
                      size="small"
                      variant="ghost"
                      aria-label={people.setPasswordOf(person.username)}
                      onClick={() => setOpen({ kind: "password", person })}
                    >
                      {people.setPassword}
                    </Button>
                    {person.id !== me.id && (
                      <>
                        <Button
                          size="small"
                          variant="ghost"
                          aria-label={
                            person.disabled ? people.enableOf(person.username) : people.disableOf(person.username)
                          }
                          onClick={() => change.mutate({ person, disabled: !person.disabled })}
                        >
                          {person.disabled ? people.enable : people.disable}
                        </Button>
                        <Button
                          size="small"
                          variant="danger"
                          aria-label={people.deleteOf(person.username)}
                          onClick={() => setOpen({ kind: "delete", person })}
                        >
                          {people.delete}
                        </Button>
                      </>
                    )}
                  </div>
                ),
              },
            ]}
          />
        )}
      </Loaded>
      <More {...query} />
      {open?.kind === "add" && <AddPerson onClose={close} />}
      {open?.kind === "sessions" && <SessionsOf person={open.person} onClose={close} />}
      {open?.kind === "password" && <SetPassword person={open.person} onClose={close} />}
      {open?.kind === "delete" && <DeletePerson person={open.person} onClose={close} />}
    </Card>
  );
}

function AddPerson({ onClose }: { onClose: () => void }) {
  const client = useQueryClient();
  const [weak, setWeak] = useState<string>();
  const add = useMutation({
    mutationFn: createUser,
    onSuccess: async (person) => {
      await client.invalidateQueries({ queryKey: ["users"] });
      notify(people.added(person.username));
      onClose();
    },
  });
  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const data = new FormData(event.currentTarget);
    const password = String(data.get("password"));
    const wrong = newPasswordErrors(password, password).password;
    setWeak(wrong);
    if (wrong || add.isPending) return;
    add.mutate({
      username: String(data.get("username")).trim(),
      password,
      role: data.get("role") as "admin" | "user",
    });
  };
  const name = fieldError(add.error, "username");
  const password = weak ?? fieldError(add.error, "password");
  return (
    <Dialog title={people.addTitle} onClose={onClose}>
      <form onSubmit={submit} className="grid gap-4">
        {add.isError && !name && !password && (
          <Alert level="error" urgent>
            {messageOf(add.error)}
          </Alert>
        )}
        <Field
          label={people.name}
          name="username"
          error={name}
          autoComplete="off"
          autoCapitalize="none"
          spellCheck={false}
          required
        />
        <PasswordField
          label={people.firstPassword}
          name="password"
          help={texts.newPassword.help}
          error={password}
          autoComplete="new-password"
          required
        />
        <SelectField label={people.role} name="role" help={people.roleHelp} options={ROLES} defaultValue="user" />
        <div className="flex justify-end gap-3">
          <Button onClick={onClose}>{texts.confirm.cancel}</Button>
          <Button type="submit" variant="primary" busy={add.isPending}>
            {people.add}
          </Button>
        </div>
      </form>
    </Dialog>
  );
}

function SetPassword({ person, onClose }: { person: AdminUser; onClose: () => void }) {
  const [weak, setWeak] = useState<string>();
  const set = useMutation({
    mutationFn: (password: string) => updateUser(person.id, { password }),
    onSuccess: () => {
      notify(people.passwordSet(person.username));
      onClose();
    },
  });
  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const password = String(new FormData(event.currentTarget).get("password"));
    const wrong = newPasswordErrors(password, password).password;
    setWeak(wrong);
    if (!wrong && !set.isPending) set.mutate(password);
  };
  const error = weak ?? fieldError(set.error, "password");
  return (
    <Dialog title={people.setPasswordOf(person.username)} onClose={onClose}>
      <form onSubmit={submit} className="grid gap-4">
        <p className="text-pretty text-muted">{people.setPasswordLead}</p>
        {set.isError && !error && (
          <Alert level="error" urgent>
            {messageOf(set.error)}
          </Alert>
        )}
        <PasswordField
          label={texts.account.new}
          name="password"
          help={texts.newPassword.help}
          error={error}
          autoComplete="new-password"
          required
        />
        <div className="flex justify-end gap-3">
          <Button onClick={onClose}>{texts.confirm.cancel}</Button>
          <Button type="submit" variant="primary" busy={set.isPending}>
            {people.setPassword}
          </Button>
        </div>
      </form>
    </Dialog>
  );
}

function DeletePerson({ person, onClose }: { person: AdminUser; onClose: () => void }) {
  const client = useQueryClient();
  const remove = useMutation({
    mutationFn: () => deleteUser(person.id),
    onSuccess: async () => {
      await Promise.all(["users", "api-keys"].map((key) => client.invalidateQueries({ queryKey: [key] })));
      notify(people.deleted(person.username));
      onClose();
    },
  });
  return (
    <Confirm
      title={people.deleteOf(person.username)}
      action={people.delete}
      typed={person.username}
      busy={remove.isPending}
      error={remove.error}
      onConfirm={() => remove.mutate()}
      onClose={onClose}
    >
      <p>{people.deleteLead}</p>
    </Confirm>
  );
}
