import { Gauge } from "lucide-react";
import type { PluginMetrics, UsageSample } from "@/api/plugin-admin";
import { bytes } from "@/components/bytes";
import { Card } from "@/components/ui/card";
import { EmptyState } from "@/components/ui/empty-state";
import { Heading } from "@/components/ui/heading";
import { TimeChart } from "@/components/ui/time-chart";
import { texts } from "@/texts";

const { usage } = texts;
const cores = (value: number) => usage.cores(value === 0 ? "0" : value.toFixed(2));
const rate = (value: number) => usage.perSecond(bytes(value));

/** What the plugin uses of the machine. */
export function UsageCharts({ found }: { found: PluginMetrics }) {
  const history = found.history ?? [];
  const times = history.map(({ at }) => at);
  const course = (pick: (sample: UsageSample) => number | null | undefined) =>
    history.map((sample) => pick(sample) ?? null);
  const network = history.some((sample) => sample.received !== null && sample.received !== undefined);
  return (
    <Card aria-labelledby="usage-heading" className="grid grid-cols-1 gap-8">
      <Heading id="usage-heading">{usage.title}</Heading>
      {history.length === 0 ? (
        <EmptyState icon={Gauge} title={usage.emptyTitle}>
          <p>{usage.emptyLead}</p>
        </EmptyState>
      ) : (
        <>
          <TimeChart
            title={usage.memory}
            times={times}
            say={bytes}
            binary
            limit={found.memoryLimit ?? null}
            series={[{ name: usage.used, tone: "accent", values: course((sample) => sample.memory) }]}
          />
          <TimeChart
            title={usage.cpu}
            times={times}
            say={cores}
            limit={found.cpuLimit ?? null}
            series={[{ name: usage.used, tone: "accent", values: course((sample) => sample.cpu) }]}
          />
          {network && (
            <TimeChart
              title={usage.network}
              times={times}
              say={rate}
              binary
              series={[
                { name: usage.sent, tone: "accent", values: course((sample) => sample.sent) },
                { name: usage.received, tone: "positive", values: course((sample) => sample.received) },
              ]}
            />
          )}
        </>
      )}
    </Card>
  );
}
