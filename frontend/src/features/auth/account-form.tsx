import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useRouter } from "@tanstack/react-router";
import { type FormEvent, type ReactNode, useState } from "react";
import { fieldError, messageOf, withWait } from "@/api/problem";
import { sessionQuery, systemQuery, type User } from "@/api/session";
import { Alert } from "@/components/ui/alert";
import { Button } from "@/components/ui/button";
import { Field } from "@/components/ui/field";
import { texts } from "@/texts";
import { type NewPasswordErrors, newPasswordErrors } from "./new-password";
import { PasswordField } from "./password-field";

export interface NewAccount {
  code: string;
  username: string;
  password: string;
}

export interface AccountFormProps {
  /** Makes the account and signs in with it. */
  make: (account: NewAccount) => Promise<User>;
  /** The code, where it is known; otherwise a field of `before` has its name. */
  code?: string;
  /** Fields above, told what the server said of the code. */
  before?: (error: string | undefined) => ReactNode;
  /** What an error means here, where it means more than it says. */
  inWords?: (error: unknown) => string | undefined;
  username?: string;
  submit: string;
  submitting: string;
}

/** Name and new password of an account that begins here, with a code that allows it. */
export function AccountForm({ make, code, before, inWords, username, submit, submitting }: AccountFormProps) {
  const client = useQueryClient();
  const router = useRouter();
  const [local, setLocal] = useState<NewPasswordErrors>({});
  const create = useMutation({
    meta: { signsIn: true },
    mutationFn: make,
    onSuccess: async (user) => {
      // Whoever was signed in here before has left: what was read for them is not for the new one.
      client.removeQueries({ predicate: ({ queryKey }) => queryKey[0] !== "session" && queryKey[0] !== "system" });
      client.setQueryData(sessionQuery.queryKey, user);
      await client.invalidateQueries({ queryKey: systemQuery.queryKey, refetchType: "all" });
      await router.navigate({ to: "/", replace: true });
    },
  });
  const fields = [...(before ? ["code"] : []), "username", "password"];
  const atFields = fields.some((name) => fieldError(create.error, name));

  const send = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    if (create.isPending) return;
    const data = new FormData(event.currentTarget);
    const value = (name: string) => String(data.get(name));
    const problems = newPasswordErrors(value("password"), value("repeat"));
    setLocal(problems);
    if (Object.keys(problems).length > 0) return;
    create.mutate({
      code: code ?? value("code").trim(),
      username: value("username").trim(),
      password: value("password"),
    });
  };
  return (
    <form onSubmit={send} className="grid gap-5">
      {create.isError && !atFields && (
        <Alert level="error" urgent>
          {inWords?.(create.error) ?? withWait(create.error) ?? messageOf(create.error)}
        </Alert>
      )}
      {before?.(fieldError(create.error, "code"))}
      <Field
        label={texts.signIn.username}
        name="username"
        defaultValue={username}
        error={fieldError(create.error, "username")}
        autoComplete="username"
        autoCapitalize="none"
        spellCheck={false}
        required
        autoFocus={!before}
      />
      <PasswordField
        label={texts.signIn.password}
        name="password"
        help={texts.newPassword.help}
        error={local.password ?? fieldError(create.error, "password")}
        autoComplete="new-password"
        required
      />
      <PasswordField
        label={texts.newPassword.repeat}
        name="repeat"
        error={local.repeat}
        autoComplete="new-password"
        required
      />
      <Button type="submit" variant="primary" busy={create.isPending}>
        {create.isPending ? submitting : submit}
      </Button>
    </form>
  );
}
