import { useMutation } from "@tanstack/react-query";
import { type FormEvent, useEffect, useRef, useState } from "react";
import { fieldError, messageOf, withWait } from "@/api/problem";
import { changePassword } from "@/api/session";
import { Alert } from "@/components/ui/alert";
import { Button } from "@/components/ui/button";
import { type NewPasswordErrors, newPasswordErrors } from "@/features/auth/new-password";
import { PasswordField } from "@/features/auth/password-field";
import { texts } from "@/texts";

/** Changes one's own password. What is wrong stands at its field, and the first such field gets the focus. */
export function PasswordForm({ username }: { username: string }) {
  const form = useRef<HTMLFormElement>(null);
  const [local, setLocal] = useState<NewPasswordErrors>({});
  const change = useMutation({
    mutationFn: changePassword,
    onSuccess: () => form.current?.reset(),
  });
  const current = fieldError(change.error, "currentPassword");
  const fresh = local.password ?? fieldError(change.error, "newPassword");
  const atFields = Boolean(current ?? fresh);

  // biome-ignore lint/correctness/useExhaustiveDependencies: each attempt anew, also when its errors are the same
  useEffect(() => {
    form.current?.querySelector<HTMLInputElement>("[aria-invalid=true]")?.focus();
  }, [local, change.error]);

  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    if (change.isPending) return;
    const data = new FormData(event.currentTarget);
    const value = (name: string) => String(data.get(name));
    const errors = newPasswordErrors(value("new"), value("repeat"));
    change.reset();
    setLocal(errors);
    if (Object.keys(errors).length > 0) return;
    change.mutate({ currentPassword: value("current"), newPassword: value("new") });
  };
  return (
    <form ref={form} onSubmit={submit} className="grid gap-5">
      {change.isError && !atFields && (
        <Alert level="error" urgent>
          {withWait(change.error) ?? messageOf(change.error)}
        </Alert>
      )}
      {/* A password manager learns from it whose password this is. */}
      <input type="text" name="username" autoComplete="username" value={username} readOnly hidden />
      <PasswordField
        label={texts.account.current}
        name="current"
        error={current}
        autoComplete="current-password"
        required
      />
      <PasswordField
        label={texts.account.new}
        name="new"
        help={texts.newPassword.help}
        error={fresh}
        autoComplete="new-password"
        required
      />
      <PasswordField
        label={texts.account.repeat}
        name="repeat"
        error={local.repeat}
        autoComplete="new-password"
        required
      />
      <Button type="submit" variant="primary" busy={change.isPending}>
        {change.isPending ? texts.account.changing : texts.account.change}
      </Button>
      {/* There from the start: a live region that comes with its words is not read out. */}
      <div role="status">
        {change.isSuccess && <Alert title={texts.account.done}>{texts.account.doneLead}</Alert>}
      </div>
    </form>
  );
}
