import { useQuery } from "@tanstack/react-query";
import { ChartLine } from "lucide-react";
import { trafficQuery } from "@/api/plugin-admin";
import { transitionsQuery } from "@/api/plugins";
import { bytes } from "@/components/bytes";
import { Loaded } from "@/components/loaded";
import { Card } from "@/components/ui/card";
import { EmptyState } from "@/components/ui/empty-state";
import { Heading } from "@/components/ui/heading";
import { TimeChart } from "@/components/ui/time-chart";
import { texts } from "@/texts";
import { duration, plain, restartsIn, type Span } from "./span";

const { traffic } = texts;

/** What was asked of the plugin, what went wrong and by whose doing, how quick it was, and its starts anew. */
export function RequestCharts({ pluginId, span }: { pluginId: string; span: Span }) {
  const query = useQuery(trafficQuery(pluginId, span));
  const history = useQuery(transitionsQuery(pluginId));
  return (
    <Card aria-labelledby="traffic-heading" className="grid grid-cols-1 gap-8">
      <Heading id="traffic-heading">{traffic.title}</Heading>
      <Loaded query={query} failed={traffic.loadFailed}>
        {({ points, step, total }) => {
          const times = points.map(({ at }) => at);
          const course = (pick: (point: (typeof points)[number]) => number | null | undefined) =>
            points.map((point) => pick(point) ?? null);
          const restarts = restartsIn(history.data?.items ?? [], times, step);
          const asked = total.requests > 0;
          return (
            <>
              {asked ? (
                <>
                  <p className="-mt-6 text-pretty text-muted">
                    {traffic.summary(total.requests, total.errors, total.p95 != null ? duration(total.p95) : null)}
                  </p>
                  <TimeChart
                    title={traffic.requests(step)}
                    times={times}
                    say={plain}
                    series={[
                      { name: traffic.all, tone: "accent", values: course((point) => point.requests) },
                      {
                        name: traffic.causes.plugin,
                        tone: "danger",
                        values: course((point) => point.errors.plugin),
                      },
                      {
                        name: traffic.causes.gateway,
                        tone: "warning",
                        values: course((point) => point.errors.gateway),
                      },
                      { name: traffic.causes.client, tone: "muted", values: course((point) => point.errors.client) },
                    ]}
                  />
                  <TimeChart
                    title={traffic.latency}
                    times={times}
                    say={duration}
                    series={[
                      { name: traffic.p50, tone: "positive", values: course((point) => point.p50) },
                      { name: traffic.p95, tone: "accent", values: course((point) => point.p95) },
                      { name: traffic.p99, tone: "warning", values: course((point) => point.p99) },
                    ]}
                  />
                  <TimeChart
                    title={traffic.bytes(step)}
                    times={times}
                    say={bytes}
                    binary
                    series={[
                      { name: traffic.sent, tone: "accent", values: course((point) => point.sent) },
                      { name: traffic.received, tone: "positive", values: course((point) => point.received) },
                    ]}
                  />
                </>
              ) : (
                <EmptyState icon={ChartLine} title={traffic.emptyTitle}>
                  <p>{traffic.emptyLead}</p>
                </EmptyState>
              )}
              {restarts.some((number) => number > 0) && (
                <TimeChart
                  title={traffic.restarts(step)}
                  times={times}
                  say={plain}
                  series={[{ name: traffic.startedAnew, tone: "danger", values: restarts }]}
                />
              )}
            </>
          );
        }}
      </Loaded>
    </Card>
  );
}
