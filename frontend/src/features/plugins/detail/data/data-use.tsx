import { useQuery } from "@tanstack/react-query";
import { metricsQuery } from "@/api/plugin-admin";
import { bytes } from "@/components/bytes";
import { RelativeTime } from "@/components/relative-time";
import { ProgressBar } from "@/components/ui/progress-bar";
import { texts } from "@/texts";

const { data } = texts;

/** How much a plugin's files take of what they may; before the first count it says so. */
export function DataUse({ pluginId }: { pluginId: string }) {
  const { data: found } = useQuery(metricsQuery(pluginId, "1h"));
  if (!found) return null;
  const use = found.data;
  if (!use) return <p className="text-sm text-muted">{data.notCounted}</p>;
  const said = data.used(bytes(use.usedBytes), bytes(use.limitBytes));
  return (
    <div className="grid gap-1.5">
      <p className="flex flex-wrap justify-between gap-x-4 text-sm tabular-nums">
        <span className="font-medium">{said}</span>
        <span className="text-muted">
          {data.counted} <RelativeTime at={use.measuredAt} />
        </span>
      </p>
      <ProgressBar label={said} share={use.limitBytes > 0 ? use.usedBytes / use.limitBytes : null} />
      <p className="text-sm text-pretty text-muted">{data.beyond}</p>
    </div>
  );
}
