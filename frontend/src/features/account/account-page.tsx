import { getRouteApi } from "@tanstack/react-router";
import { PageHeader } from "@/components/page";
import { Card } from "@/components/ui/card";
import { Heading } from "@/components/ui/heading";
import { texts } from "@/texts";
import { PasswordForm } from "./password-form";
import { SessionsCard } from "./sessions-card";

const route = getRouteApi("/app");

/** One's own account. */
export default function AccountPage() {
  const { user } = route.useRouteContext();
  return (
    <>
      <PageHeader title={texts.account.title} lead={texts.account.lead(user.username, texts.session[user.role])} />
      <div className="grid max-w-6xl grid-cols-1 items-start gap-5 lg:grid-cols-[28rem_minmax(0,1fr)]">
        <Card aria-labelledby="password-heading">
          <Heading id="password-heading">{texts.account.password}</Heading>
          <p className="mt-1 mb-5 text-pretty text-muted">{texts.account.passwordLead}</p>
          <PasswordForm username={user.username} />
        </Card>
        <SessionsCard />
      </div>
    </>
  );
}
