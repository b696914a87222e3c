import { ApiProblem } from "@/api/problem";
import { completeSetup } from "@/api/session";
import { Field } from "@/components/ui/field";
import { texts } from "@/texts";
import { AccountForm } from "./account-form";
import { AuthFrame } from "./auth-frame";

const { setup } = texts;

const inWords = (error: unknown) => (error instanceof ApiProblem && error.status === 410 ? setup.done : undefined);

/** The first administrator, with the code that the log of the gateway has. */
export default function SetupPage() {
  return (
    <AuthFrame title={setup.title} lead={setup.lead}>
      <AccountForm
        make={completeSetup}
        inWords={inWords}
        username="admin"
        submit={setup.submit}
        submitting={setup.submitting}
        before={(error) => (
          <Field
            label={setup.code}
            name="code"
            help={setup.codeHelp}
            error={error}
            autoComplete="one-time-code"
            autoCapitalize="none"
            spellCheck={false}
            required
            autoFocus
          />
        )}
      />
    </AuthFrame>
  );
}
