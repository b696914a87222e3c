import { type UseQueryResult, useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { type FormEvent, useState } from "react";
import { type InstallJob, installPlugin, installsQuery, permissionsQuery } from "@/api/installs";
import { pluginQuery } from "@/api/plugins";
import { ApiProblem, fieldError, messageOf, type Problem } from "@/api/problem";
import { Loaded } from "@/components/loaded";
import { PageHeader } from "@/components/page";
import { Alert } from "@/components/ui/alert";
import { Button } from "@/components/ui/button";
import { Card } from "@/components/ui/card";
import { Heading } from "@/components/ui/heading";
import { Consent, RiskNote } from "@/features/plugins/permissions";
import { usePolling } from "@/live/use-live";
import { texts } from "@/texts";
import { Job } from "./job";
import { type Source, SourceField, sourceBody } from "./source-field";

const { install } = texts;
const SOURCES = ["image", "path", "manifest"] as const satisfies readonly Source[];

/** From an image, a folder or a manifest to a plugin that a person has let do what it asks for. */
export default function InstallPage() {
  const [source, setSource] = useState<Source>("image");
  const [unreadable, setUnreadable] = useState(false);
  const client = useQueryClient();
  const start = useMutation({
    mutationFn: installPlugin,
    onSuccess: () =>
      Promise.all([
        client.invalidateQueries({ queryKey: installsQuery.queryKey }),
        client.invalidateQueries({ queryKey: ["plugins", "list"] }),
      ]),
  });
  const polling = usePolling();
  const jobs = useQuery({ ...installsQuery, refetchInterval: polling });
  const latest = start.data?.job;
  // A large image is fetched for longer than the call waits: its job tells when the plugin is here.
  const settled = jobs.data?.find((job) => job.id === latest?.id && job.state === "done");
  const failed = jobs.data?.find((job) => job.id === latest?.id && job.state === "failed");
  const refused = start.error ?? (failed ? new ApiProblem(409, (failed.problem ?? null) as Problem | null) : null);
  const installed = start.data?.plugin?.id ?? settled?.pluginId;
  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    if (start.isPending) return;
    const body = sourceBody(source, String(new FormData(event.currentTarget).get("source")));
    setUnreadable(body === null);
    if (body !== null) start.mutate(body);
  };
  return (
    <>
      <PageHeader title={install.title} lead={install.lead} />
      <div className="grid grid-cols-1 items-start gap-5 xl:grid-cols-2">
        <Card aria-labelledby="install-from">
          <Heading id="install-from" className="mb-4">
            {install.from}
          </Heading>
          <fieldset aria-label={install.from} className="mb-5 flex flex-wrap gap-1">
            {SOURCES.map((name) => (
              <button
                key={name}
                type="button"
                aria-pressed={source === name}
                onClick={() => {
                  setSource(name);
                  start.reset();
                  setUnreadable(false);
                }}
                className="h-9 rounded-lg px-3 text-sm font-medium text-muted hover:bg-sunken hover:text-text aria-pressed:bg-accent-soft aria-pressed:text-accent"
              >
                {install.sources[name].name}
              </button>
            ))}
          </fieldset>
          <form key={source} onSubmit={submit} className="grid grid-cols-1 gap-4">
            <SourceField source={source} error={unreadable ? install.notJson : fieldError(start.error, source)} />
            {refused && !fieldError(refused, source) && <Refusal error={refused} />}
            <Button type="submit" variant="primary" busy={start.isPending} className="justify-self-start">
              {start.isPending ? install.busy : install.action}
            </Button>
          </form>
        </Card>
        <Jobs query={jobs} latest={latest} />
      </div>
      {installed && <Decide key={installed} id={installed} />}
    </>
  );
}

function Refusal({ error }: { error: Error }) {
  const errors = error instanceof ApiProblem ? (error.problem?.errors ?? []) : [];
  return (
    <Alert level="error" urgent title={install.refused}>
      <p>{messageOf(error)}</p>
      {errors.length > 0 && (
        <ul className="mt-1 list-disc pl-5">
          {errors.slice(0, 10).map((item) => (
            <li key={`${item.path} ${item.message}`}>
              <code className="font-mono text-[0.8125rem]">{item.path}</code> {item.message}
              {item.suggestion && ` ${texts.plugins.suggestion(item.suggestion)}`}
            </li>
          ))}
        </ul>
      )}
    </Alert>
  );
}

interface JobsProps {
  query: UseQueryResult<InstallJob[]>;
  latest: InstallJob | undefined;
}

/** What is being fetched, and what became of the last ones. */
function Jobs({ query, latest }: JobsProps) {
  return (
    <Card aria-labelledby="jobs-heading">
      <Heading id="jobs-heading" className="mb-3">
        {install.jobs}
      </Heading>
      <Loaded query={query} failed={install.jobsFailed}>
        {(jobs) =>
          jobs.length === 0 ? (
            <p className="text-muted">{install.noJobs}</p>
          ) : (
            <ul className="grid grid-cols-1 gap-5">
              {jobs.map((job) => (
                <li key={job.id} className="grid grid-cols-1 gap-2">
                  <Job job={job} fresh={job.id === latest?.id} />
                </li>
              ))}
            </ul>
          )
        }
      </Loaded>
    </Card>
  );
}

/** Installed: what it asks for, how risky that is, and the decision. */
function Decide({ id }: { id: string }) {
  const query = useQuery(permissionsQuery(id));
  const { data: plugin } = useQuery(pluginQuery(id));
  const name = plugin?.name ?? id;
  return (
    <Card aria-labelledby="decide-heading" className="mt-5">
      <Heading id="decide-heading" tabIndex={-1}>
        {install.decide(name)}
      </Heading>
      <p className="mt-1 mb-4 text-pretty text-muted">{install.decideLead}</p>
      <Loaded query={query} failed={texts.consent.loadFailed}>
        {(given) => (
          <div className="grid grid-cols-1 gap-6 lg:grid-cols-2">
            {given.decided ? (
              <div className="grid content-start gap-3">
                <p>{install.decided(name)}</p>
                <Button asChild variant="primary" className="justify-self-start">
                  <Link to="/manage/plugins/$pluginId" params={{ pluginId: id }}>
                    {texts.plugins.manage(name)}
                  </Link>
                </Button>
              </div>
            ) : (
              <Consent given={given} />
            )}
            <RiskNote risk={given.risk} />
          </div>
        )}
      </Loaded>
    </Card>
  );
}
