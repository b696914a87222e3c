import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import type { ListedPlugin } from "@/api/plugins";
import { lastHourQuery, type Traffic } from "@/api/traffic";
import { bytes } from "@/components/bytes";
import { Loaded } from "@/components/loaded";
import { Card } from "@/components/ui/card";
import { Chart } from "@/components/ui/chart";
import { Heading } from "@/components/ui/heading";
import { texts } from "@/texts";

const { home } = texts;
const MOST = 5;

/** Requests to plugins in the last hour: how many, how many failed, how fast, and whose. */
export function TrafficCard({ plugins }: { plugins: readonly ListedPlugin[] }) {
  const query = useQuery(lastHourQuery);
  return (
    <Card aria-labelledby="traffic-heading">
      <Heading id="traffic-heading" className="mb-3">
        {home.traffic.title}
      </Heading>
      <Loaded query={query} failed={home.traffic.failed}>
        {(traffic) =>
          traffic.total.requests === 0 ? (
            <p className="text-pretty text-muted">{home.traffic.none}</p>
          ) : (
            <Course traffic={traffic} plugins={plugins} />
          )
        }
      </Loaded>
    </Card>
  );
}

const errorsOf = ({ client, plugin, gateway }: Traffic["total"]["errors"]): number => client + plugin + gateway;
const number = new Intl.NumberFormat("en");

function Course({ traffic, plugins }: { traffic: Traffic; plugins: readonly ListedPlugin[] }) {
  const { total, points } = traffic;
  const figures = [
    [home.traffic.requests, number.format(total.requests)],
    [home.traffic.errors, number.format(errorsOf(total.errors))],
    [home.traffic.sent, bytes(total.sent)],
  ] as const;
  return (
    <div className="grid grid-cols-1 gap-4">
      <dl className="grid grid-cols-2 gap-3 sm:grid-cols-3">
        {figures.map(([name, value]) => (
          <div key={name} className="flex flex-col-reverse justify-end">
            <dt className="text-sm text-muted">{name}</dt>
            <dd className="text-lg font-semibold tabular-nums">{value}</dd>
          </div>
        ))}
      </dl>
      <Chart
        title={home.traffic.perMinute}
        // The last minute is still being counted, and would look like a fall.
        points={points.slice(0, -1).map(({ at, requests }) => ({ at, value: requests }))}
        say={(value) => number.format(Math.round(value))}
      />
      <ul aria-label={home.traffic.most} className="grid gap-1.5 text-sm">
        {traffic.plugins.slice(0, MOST).map((share) => (
          <li key={share.pluginId} className="flex flex-wrap justify-between gap-x-4">
            <Link
              to="/manage/plugins/$pluginId"
              params={{ pluginId: share.pluginId }}
              className="min-w-0 truncate rounded font-medium hover:underline"
            >
              {plugins.find(({ id }) => id === share.pluginId)?.name ?? share.pluginId}
            </Link>
            <span className="text-muted tabular-nums">
              {home.traffic.share(number.format(share.requests), errorsOf(share.errors))}
            </span>
          </li>
        ))}
      </ul>
    </div>
  );
}
