import { useQuery } from "@tanstack/react-query";
import { getRouteApi } from "@tanstack/react-router";
import { History as HistoryIcon, Unplug } from "lucide-react";
import { type Reason, type Transition, transitionsQuery } from "@/api/plugins";
import { messageOf } from "@/api/problem";
import { PagePending } from "@/components/layout/root";
import { exactTime, RelativeTime } from "@/components/relative-time";
import { Button } from "@/components/ui/button";
import { Card } from "@/components/ui/card";
import { EmptyState } from "@/components/ui/empty-state";
import { usePolling } from "@/live/use-live";
import { texts } from "@/texts";
import { ReasonPanel } from "../failure";
import { toneOf } from "../state";
import { StateBadge } from "../state-badge";

const route = getRouteApi("/app/manage/plugins/$pluginId");

export default function History() {
  const { pluginId } = route.useParams();
  const polling = usePolling();
  const { data, error, refetch } = useQuery({ ...transitionsQuery(pluginId), refetchInterval: polling });
  if (!data) {
    if (!error) return <PagePending />;
    return (
      <EmptyState
        icon={Unplug}
        title={texts.plugin.historyFailed}
        actions={<Button onClick={() => void refetch()}>{texts.common.retry}</Button>}
      >
        <p>{messageOf(error)}</p>
      </EmptyState>
    );
  }
  if (data.items.length === 0) {
    return (
      <EmptyState icon={HistoryIcon} title={texts.plugin.historyEmptyTitle}>
        <p>{texts.plugin.historyEmptyLead}</p>
      </EmptyState>
    );
  }
  return (
    <Card>
      <p className="text-sm text-muted">
        {texts.plugin.historyLead} {data.partial && texts.plugin.historyPartial(data.items.length)}
      </p>
      <Changes items={data.items} />
    </Card>
  );
}

/** Changes of state, newest first. */
export function Changes({ items }: { items: readonly Transition[] }) {
  return (
    <ol className="mt-4 grid">
      {items.map((item, index) => (
        <Entry key={item.id} item={item} before={items[index + 1]} />
      ))}
    </ol>
  );
}

/** What is told beside a state: what went wrong, or what happened while the state stayed, as an upgrade. */
function Told({ reason, item }: { reason: Reason; item: Transition }) {
  const tone = toneOf(item.toState);
  const stayed = item.fromState === item.toState;
  if (tone === "danger" || tone === "warning") return <ReasonPanel reason={reason} warning={tone === "warning"} />;
  if (stayed && (reason.hop || reason.hint)) return <ReasonPanel reason={reason} warning />;
  return stayed && <p className="text-sm break-words">{reason.message}</p>;
}

function Entry({ item, before }: { item: Transition; before: Transition | undefined }) {
  // What follows from a failure has its reason: it stands with the failure.
  const told = before?.reason?.message === item.reason?.message && before?.toState === "failed";
  return (
    <li className="grid gap-2 border-b py-3.5 last:border-0 sm:grid-cols-[11rem_minmax(0,1fr)] sm:gap-4">
      <div>
        <StateBadge state={item.toState} past />
      </div>
      <div className="grid min-w-0 gap-2">
        <p className="flex flex-wrap gap-x-2 text-sm">
          <RelativeTime at={item.at} className="font-medium" />
          <span className="text-muted">{exactTime(item.at)}</span>
          <span className="text-muted">· {texts.plugin.cause(item.cause)}</span>
        </p>
        {item.reason && !told && <Told reason={item.reason} item={item} />}
      </div>
    </li>
  );
}
