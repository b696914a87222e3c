import { useQuery } from "@tanstack/react-query";
import { getRouteApi } from "@tanstack/react-router";
import { CircleAlert, CircleCheck, CircleMinus, Stethoscope, TriangleAlert } from "lucide-react";
import { type Diagnosis, doctorQuery } from "@/api/plugin-admin";
import { messageOf } from "@/api/problem";
import { Alert } from "@/components/ui/alert";
import { Button } from "@/components/ui/button";
import { Card } from "@/components/ui/card";
import { Heading } from "@/components/ui/heading";
import { Spinner } from "@/components/ui/spinner";
import { texts } from "@/texts";
import { LastLines } from "../last-lines";

const route = getRouteApi("/app/manage/plugins/$pluginId");
const { doctor } = texts;
const MARKS = {
  passed: { icon: CircleCheck, tone: "text-positive" },
  warning: { icon: TriangleAlert, tone: "text-warning" },
  failed: { icon: CircleAlert, tone: "text-danger" },
  skipped: { icon: CircleMinus, tone: "text-muted" },
} as const;

/** Walks from the plugin's image to its permissions and says what stands in the way. */
export default function Doctor() {
  const { pluginId } = route.useParams();
  const { data, error, isFetching, refetch } = useQuery(doctorQuery(pluginId));
  return (
    <Card aria-labelledby="doctor-heading" className="max-w-3xl">
      <div className="flex flex-wrap items-start justify-between gap-3">
        <div>
          <Heading id="doctor-heading">{doctor.title}</Heading>
          <p className="mt-1 text-pretty text-muted">{doctor.lead}</p>
        </div>
        <Button busy={isFetching} onClick={() => void refetch()}>
          {!isFetching && <Stethoscope aria-hidden="true" />}
          {isFetching ? doctor.looking : doctor.again}
        </Button>
      </div>
      <div aria-live="polite" className="mt-5">
        {error && !isFetching && (
          <Alert level="error" title={doctor.failed}>
            {messageOf(error)}
          </Alert>
        )}
        {!data && isFetching && <Spinner label={doctor.looking} />}
        {data && <Findings found={data} />}
      </div>
    </Card>
  );
}

function Findings({ found }: { found: Diagnosis }) {
  const failed = found.checks.find(({ hop }) => hop === found.firstFailed);
  return (
    <div className="grid grid-cols-1 gap-5">
      <Alert level={found.healthy ? "info" : "error"}>
        {failed ? doctor.firstFailed(doctor.hops[failed.hop] ?? failed.hop, failed.message) : found.summary}
      </Alert>
      <ol className="grid gap-4">
        {found.checks.map((check) => {
          const { icon: Icon, tone } = MARKS[check.status];
          return (
            <li key={check.hop} className="flex gap-3">
              <Icon aria-hidden="true" className={`mt-0.5 size-5 shrink-0 ${tone}`} />
              <div className="min-w-0 break-words">
                <p className="font-medium">
                  {doctor.hops[check.hop] ?? check.hop}
                  <span className={`ml-2 text-sm font-normal ${tone}`}>{doctor.statuses[check.status]}</span>
                </p>
                <p className="text-sm text-muted">{check.message}</p>
                {check.hint && <p className="text-sm">{check.hint}</p>}
              </div>
            </li>
          );
        })}
      </ol>
      <div className="rounded-lg bg-sunken px-4 py-3 empty:hidden">
        <LastLines lines={found.logTail ?? []} open={!found.healthy} />
      </div>
    </div>
  );
}
