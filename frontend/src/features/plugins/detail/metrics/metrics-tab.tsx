import { useQuery } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import { metricsQuery } from "@/api/plugin-admin";
import { Loaded } from "@/components/loaded";
import { RelativeTime } from "@/components/relative-time";
import { texts } from "@/texts";
import { RequestCharts } from "./request-charts";
import { SPANS, type Span } from "./span";
import { UsageCharts } from "./usage-charts";

const route = getRouteApi("/app/manage/plugins/$pluginId/metrics");
const { usage } = texts;

/** How a plugin does: what was asked of it and what it uses, over a chosen time. */
export default function MetricsTab() {
  const { pluginId } = route.useParams();
  const { span = "1h" } = route.useSearch();
  const query = useQuery(metricsQuery(pluginId, span));
  return (
    <div className="grid grid-cols-1 gap-5">
      <SpanChoice pluginId={pluginId} span={span} />
      <Loaded query={query} failed={usage.loadFailed}>
        {(found) => (
          <dl className="grid grid-cols-2 gap-3 sm:gap-5 lg:grid-cols-3">
            <Figure name={usage.running}>
              {found.runningSince ? <RelativeTime at={found.runningSince} /> : usage.notRunning}
            </Figure>
            <Figure name={usage.restarts}>{found.restarts}</Figure>
            <Figure name={usage.failures}>{found.failures}</Figure>
          </dl>
        )}
      </Loaded>
      <RequestCharts pluginId={pluginId} span={span} />
      {query.data && <UsageCharts found={query.data} />}
    </div>
  );
}

function SpanChoice({ pluginId, span }: { pluginId: string; span: Span }) {
  return (
    <nav aria-label={usage.span} data-keep-focus className="flex gap-1">
      {SPANS.map((name) => (
        <Link
          key={name}
          to="/manage/plugins/$pluginId/metrics"
          params={{ pluginId }}
          search={name === "1h" ? {} : { span: name }}
          replace
          resetScroll={false}
          activeOptions={{ exact: true, includeSearch: true }}
          data-chosen={name === span}
          className="grid h-9 place-items-center rounded-lg px-3 text-sm font-medium text-muted hover:bg-sunken hover:text-text data-[chosen=true]:bg-accent-soft data-[chosen=true]:text-accent"
        >
          {usage.spans[name]}
        </Link>
      ))}
    </nav>
  );
}

function Figure({ name, children }: { name: string; children: React.ReactNode }) {
  return (
    <div className="flex flex-col-reverse rounded-card border bg-surface p-4 shadow-card sm:p-5">
      <dt className="text-sm text-muted">{name}</dt>
      <dd className="text-lg font-semibold tracking-tight tabular-nums">{children}</dd>
    </div>
  );
}
