import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { transitionsQuery } from "@/api/plugins";
import { RelativeTime } from "@/components/relative-time";
import { Heading } from "@/components/ui/heading";
import { usePolling } from "@/live/use-live";
import { texts } from "@/texts";
import { StateBadge } from "../state-badge";

const { plugin } = texts;
const SHOWN = 5;

/** The latest states of a plugin, newest first; nothing while there were none. */
export function Timeline({ pluginId }: { pluginId: string }) {
  const polling = usePolling();
  const { data } = useQuery({ ...transitionsQuery(pluginId), refetchInterval: polling });
  if (!data || data.items.length === 0) return null;
  return (
    <section aria-labelledby="timeline-heading" className="grid gap-3 border-t pt-4">
      <div className="flex flex-wrap items-baseline justify-between gap-x-3">
        <Heading level={3} id="timeline-heading" className="text-sm">
          {plugin.timeline}
        </Heading>
        <Link
          to="/manage/plugins/$pluginId/history"
          params={{ pluginId }}
          className="rounded text-sm font-medium text-accent hover:underline"
        >
          {plugin.wholeHistory}
        </Link>
      </div>
      <ol className="grid gap-2 text-sm sm:grid-cols-[max-content_max-content_1fr] sm:gap-x-4">
        {data.items.slice(0, SHOWN).map((item) => (
          <li
            key={item.id}
            className="flex flex-wrap items-center gap-x-3 gap-y-1 sm:col-span-3 sm:grid sm:grid-cols-subgrid"
          >
            <span>
              <StateBadge state={item.toState} past />
            </span>
            <RelativeTime at={item.at} className="text-muted" />
            <span className="min-w-0 break-words text-muted">
              {item.fromState === item.toState && item.reason ? item.reason.message : plugin.cause(item.cause)}
            </span>
          </li>
        ))}
      </ol>
    </section>
  );
}
