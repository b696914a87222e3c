import { useMutation, useQueryClient } from "@tanstack/react-query";
import { getRouteApi, useRouter } from "@tanstack/react-router";
import { type FormEvent, useRef } from "react";
import { ApiProblem, messageOf, withWait } from "@/api/problem";
import { sessionQuery, signIn, systemQuery } from "@/api/session";
import { Alert } from "@/components/ui/alert";
import { Button } from "@/components/ui/button";
import { Field } from "@/components/ui/field";
import { texts } from "@/texts";
import { AuthFrame } from "./auth-frame";
import { PasswordField } from "./password-field";

const route = getRouteApi("/sign-in");

function inWords(error: unknown): string {
  if (error instanceof ApiProblem && error.status === 401) return texts.signIn.wrong;
  return withWait(error) ?? messageOf(error);
}

export default function SignInPage() {
  const { next, expired } = route.useSearch();
  const client = useQueryClient();
  const router = useRouter();
  const form = useRef<HTMLFormElement>(null);
  const attempt = useMutation({
    meta: { signsIn: true },
    mutationFn: ({ username, password }: { username: string; password: string }) => signIn(username, password),
    onSuccess: async (user) => {
      client.setQueryData(sessionQuery.queryKey, user);
      // Its notices are for people who are signed in.
      void client.invalidateQueries({ queryKey: systemQuery.queryKey });
      await router.navigate({ href: next ?? "/", replace: true });
    },
    onError: () => form.current?.querySelector<HTMLInputElement>("[name=password]")?.select(),
  });

  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const data = new FormData(event.currentTarget);
    attempt.mutate({ username: String(data.get("username")).trim(), password: String(data.get("password")) });
  };
  return (
    <AuthFrame title={texts.signIn.title} lead={texts.signIn.lead}>
      <form ref={form} onSubmit={submit} className="grid gap-5">
        {expired && !attempt.isError && <Alert level="info">{texts.signIn.expired}</Alert>}
        {attempt.isError && (
          <Alert level="error" urgent>
            {inWords(attempt.error)}
          </Alert>
        )}
        <Field
          label={texts.signIn.username}
          name="username"
          autoComplete="username"
          autoCapitalize="none"
          spellCheck={false}
          required
          autoFocus
        />
        <PasswordField label={texts.signIn.password} name="password" autoComplete="current-password" required />
        <Button type="submit" variant="primary" busy={attempt.isPending}>
          {attempt.isPending ? texts.signIn.submitting : texts.signIn.submit}
        </Button>
      </form>
    </AuthFrame>
  );
}
