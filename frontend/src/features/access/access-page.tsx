import { getRouteApi } from "@tanstack/react-router";
import { PageHeader } from "@/components/page";
import { texts } from "@/texts";
import { ApiKeysCard } from "./api-keys";
import { InvitationsCard } from "./invitations";
import { PeopleCard } from "./people";

const route = getRouteApi("/app");

/** Who and what may use this Nimbus. */
export default function AccessPage() {
  const { user } = route.useRouteContext();
  return (
    <>
      <PageHeader title={texts.access.title} lead={texts.access.lead} />
      <div className="grid grid-cols-1 gap-5">
        <PeopleCard me={user} />
        <InvitationsCard />
        <ApiKeysCard />
      </div>
    </>
  );
}
