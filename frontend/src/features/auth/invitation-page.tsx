import { useQuery } from "@tanstack/react-query";
import { Link, useLocation } from "@tanstack/react-router";
import { ApiProblem, messageOf, withWait } from "@/api/problem";
import { acceptInvitation, offerQuery, sessionQuery } from "@/api/session";
import { exactTime } from "@/components/relative-time";
import { Alert } from "@/components/ui/alert";
import { Button } from "@/components/ui/button";
import { Spinner } from "@/components/ui/spinner";
import { texts } from "@/texts";
import { AccountForm } from "./account-form";
import { AuthFrame } from "./auth-frame";

const { invitation } = texts;

/** Where the link of an invitation leads; its code stands behind the `#`, which browsers send nowhere. */
export default function InvitationPage() {
  const code = useLocation({ select: ({ hash }) => hash });
  return code ? <Offer code={code} /> : <Useless why={invitation.noCode} />;
}

function Offer({ code }: { code: string }) {
  const { data: offer, error, refetch } = useQuery(offerQuery(code));
  const { data: user } = useQuery(sessionQuery);
  if (error) {
    const refused = error instanceof ApiProblem && error.status >= 400 && error.status < 500 && error.status !== 429;
    if (refused) return <Useless why={invitation.badLead} />;
    return <Useless why={withWait(error) ?? messageOf(error)} retry={() => void refetch()} />;
  }
  if (!offer) {
    return (
      <AuthFrame title={invitation.title} lead={invitation.looking}>
        <Spinner className="size-5" label={texts.common.loading} />
      </AuthFrame>
    );
  }
  return (
    <AuthFrame title={invitation.title} lead={invitation.lead[offer.role]}>
      <div className="grid gap-5">
        {user && <Alert level="warning">{invitation.signedIn(user.username)}</Alert>}
        <AccountForm
          make={acceptInvitation}
          code={code}
          submit={invitation.submit}
          submitting={invitation.submitting}
        />
        <p className="text-sm text-muted">{invitation.until(exactTime(offer.expiresAt))}</p>
      </div>
    </AuthFrame>
  );
}

/** An invitation with which nothing can be done here, and the way on. */
function Useless({ why, retry }: { why: string; retry?: () => void }) {
  return (
    <AuthFrame title={invitation.badTitle} lead={why}>
      <div className="flex flex-wrap gap-3">
        {retry && (
          <Button variant="primary" onClick={retry}>
            {texts.common.retry}
          </Button>
        )}
        <Button asChild>
          <Link to="/sign-in">{invitation.signIn}</Link>
        </Button>
      </div>
    </AuthFrame>
  );
}
