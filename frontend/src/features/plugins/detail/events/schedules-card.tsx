import { useInfiniteQuery, useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { messageOf } from "@/api/problem";
import { runSchedule, runsQuery, type ScheduleRun, type ScheduleStatus, schedulesQuery } from "@/api/schedules";
import { Loaded } from "@/components/loaded";
import { More } from "@/components/more";
import { exactTime, RelativeTime } from "@/components/relative-time";
import { notify } from "@/components/toasts";
import { Alert } from "@/components/ui/alert";
import { Badge } from "@/components/ui/badge";
import { Button } from "@/components/ui/button";
import { Card } from "@/components/ui/card";
import { Heading } from "@/components/ui/heading";
import { Spinner } from "@/components/ui/spinner";
import { texts } from "@/texts";

const { schedules } = texts;
const TONES = { running: "busy", done: "positive", failed: "danger", skipped: "warning" } as const;

/** What the plugin does by the clock: when next, how it went, and doing it now. */
export function SchedulesCard({ pluginId }: { pluginId: string }) {
  const query = useQuery(schedulesQuery(pluginId));
  return (
    <Card aria-labelledby="schedules-heading" className="grid grid-cols-1 gap-4">
      <Heading id="schedules-heading">{schedules.title}</Heading>
      <Loaded query={query} failed={schedules.loadFailed}>
        {(items) =>
          items.length === 0 ? (
            <p className="text-muted">{schedules.none}</p>
          ) : (
            <ul className="grid gap-6">
              {items.map((item) => (
                <li key={item.id} className="grid grid-cols-1 gap-2">
                  <Schedule pluginId={pluginId} schedule={item} />
                </li>
              ))}
            </ul>
          )
        }
      </Loaded>
    </Card>
  );
}

function Schedule({ pluginId, schedule }: { pluginId: string; schedule: ScheduleStatus }) {
  const client = useQueryClient();
  const [open, setOpen] = useState(false);
  const run = useMutation({
    mutationFn: () => runSchedule(pluginId, schedule.id),
    onSuccess: async () => {
      notify(schedules.started(schedule.id));
      await client.invalidateQueries({ queryKey: ["plugins", "schedules", pluginId] });
    },
  });
  return (
    <>
      <div className="flex flex-wrap items-center gap-x-3 gap-y-1">
        <span className="font-medium">{schedule.id}</span>
        <code className="font-mono text-[0.8125rem] text-muted">
          {schedule.cron} · {schedule.timezone}
        </code>
        <span className="ml-auto flex flex-wrap gap-2">
          <Button
            size="small"
            busy={run.isPending}
            disabled={Boolean(schedule.running)}
            aria-label={schedules.runOf(schedule.id)}
            onClick={() => run.mutate()}
          >
            {schedule.running ? schedules.running : schedules.run}
          </Button>
          <Button
            size="small"
            variant="ghost"
            aria-expanded={open}
            aria-label={schedules.historyOf(schedule.id)}
            onClick={() => setOpen(!open)}
          >
            {schedules.history}
          </Button>
        </span>
      </div>
      <p className="flex flex-wrap items-center gap-x-3 gap-y-1 text-sm text-muted">
        <span>
          {schedules.next}{" "}
          {schedule.nextAt ? <time dateTime={schedule.nextAt}>{exactTime(schedule.nextAt)}</time> : schedules.never}
        </span>
        {schedule.last && <Run run={schedule.last} />}
      </p>
      {schedule.error && <Alert level="warning">{schedule.error}</Alert>}
      {run.isError && (
        <Alert level="error" urgent>
          {messageOf(run.error)}
        </Alert>
      )}
      {open && <Runs pluginId={pluginId} schedule={schedule.id} />}
    </>
  );
}

function Run({ run }: { run: ScheduleRun }) {
  return (
    <span className="flex flex-wrap items-center gap-2">
      <Badge tone={TONES[run.state]}>
        {run.state === "running" && <Spinner />}
        {schedules.states[run.state]}
      </Badge>
      <RelativeTime at={run.startedAt} />
      <span>{schedules.causes[run.cause]}</span>
      {run.finishedAt && <span>{schedules.took(Date.parse(run.finishedAt) - Date.parse(run.startedAt))}</span>}
      {run.error && <span className="break-words text-danger">{run.error}</span>}
    </span>
  );
}

function Runs({ pluginId, schedule }: { pluginId: string; schedule: string }) {
  const query = useInfiniteQuery(runsQuery(pluginId, schedule));
  return (
    <div className="rounded-lg bg-sunken p-3 text-sm text-muted">
      <Loaded query={query} failed={schedules.runsFailed}>
        {(runs) =>
          runs.length === 0 ? (
            <p>{schedules.noRuns}</p>
          ) : (
            <ul aria-label={schedules.historyOf(schedule)} className="grid gap-2">
              {runs.map((run) => (
                <li key={run.id}>
                  <Run run={run} />
                </li>
              ))}
            </ul>
          )
        }
      </Loaded>
      <More {...query} />
    </div>
  );
}
