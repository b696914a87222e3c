import { useQuery } from "@tanstack/react-query";
import { getRouteApi } from "@tanstack/react-router";
import { pluginQuery } from "@/api/plugins";
import { DeadLettersCard } from "./dead-letters-card";
import { SchedulesCard } from "./schedules-card";
import { SubscriptionCard } from "./subscription-card";

const route = getRouteApi("/app/manage/plugins/$pluginId");

/** What the plugin is told and tells, what could not be told, and what it does by the clock. */
export default function EventsTab() {
  const { pluginId } = route.useParams();
  const { data: plugin } = useQuery(pluginQuery(pluginId));
  if (!plugin) return null;
  return (
    <div className="grid grid-cols-1 gap-5">
      <SubscriptionCard plugin={plugin} />
      <DeadLettersCard pluginId={pluginId} />
      <SchedulesCard pluginId={pluginId} />
    </div>
  );
}
