import { useQuery, useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { installsQuery } from "@/api/installs";
import { type PluginVersion, type UpgradeRequest, upgradePlugin, versionsQuery } from "@/api/plugin-admin";
import { fieldError, messageOf } from "@/api/problem";
import { notify } from "@/components/toasts";
import { Alert } from "@/components/ui/alert";
import { Button } from "@/components/ui/button";
import { Card } from "@/components/ui/card";
import { Heading } from "@/components/ui/heading";
import { SelectField } from "@/components/ui/select-field";
import { Job } from "@/features/install/job";
import { SourceField, sourceBody } from "@/features/install/source-field";
import { usePolling } from "@/live/use-live";
import { texts } from "@/texts";
import { useChange } from "./use-change";

const { versions } = texts;

export interface UpgradeCardProps {
  id: string;
  /** Called once a version is here and waits for the decision. */
  onFetched: (version: PluginVersion) => void;
}

/** Fetches another version. It is looked at first: taking it is a decision of its own. */
export function UpgradeCard({ id, onFetched }: UpgradeCardProps) {
  const client = useQueryClient();
  const change = useChange(
    id,
    async (body: UpgradeRequest) => {
      await upgradePlugin(id, { ...body, hold: true });
      const listed = await client.fetchQuery({ ...versionsQuery(id), staleTime: 0 });
      return justFetched(listed, body);
    },
    null,
    (version) => (version ? onFetched(version) : notify(versions.stillFetching)),
  );
  const polling = usePolling();
  const jobs = useQuery({ ...installsQuery, refetchInterval: polling, enabled: change.isPending });
  const fetching = change.isPending
    ? (jobs.data ?? []).filter((job) => job.pluginId === id && job.state === "running")
    : [];
  const [from, setFrom] = useState<"image" | "manifest">("image");
  const [unreadable, setUnreadable] = useState(false);
  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    if (change.isPending) return;
    const body = sourceBody(from, String(new FormData(event.currentTarget).get("source")));
    setUnreadable(body === null);
    if (body !== null) change.mutate(body);
  };
  return (
    <Card aria-labelledby="upgrade-heading">
      <Heading id="upgrade-heading">{versions.upgrade}</Heading>
      <p className="mt-1 mb-4 text-pretty text-muted">{versions.upgradeLead}</p>
      <form onSubmit={submit} className="grid gap-4">
        <SelectField
          label={texts.install.from}
          className="w-full sm:w-48"
          value={from}
          onChange={(event) => {
            setFrom(event.target.value as "image" | "manifest");
            setUnreadable(false);
          }}
          options={(["image", "manifest"] as const).map((value) => ({
            value,
            label: texts.install.sources[value].name,
          }))}
        />
        <SourceField source={from} error={unreadable ? texts.install.notJson : fieldError(change.error, from)} />
        <Button type="submit" variant="primary" busy={change.isPending} className="justify-self-start">
          {change.isPending ? versions.fetching : versions.fetch}
        </Button>
      </form>
      {change.isError && !fieldError(change.error, from) && (
        <Alert level="error" urgent className="mt-4">
          {messageOf(change.error)}
        </Alert>
      )}
      {fetching.map((job) => (
        <div key={job.id} className="mt-4 grid grid-cols-1 gap-2">
          <Job job={job} fresh />
        </div>
      ))}
    </Card>
  );
}

/** The version of the list that this request brought; none while it is still on its way. */
function justFetched(listed: readonly PluginVersion[], { image }: UpgradeRequest): PluginVersion | undefined {
  const source = image ? `image:${image}` : "manifest";
  return listed
    .filter((one) => one.status === "waiting" && one.source === source)
    .sort((a, b) => Date.parse(b.since) - Date.parse(a.since))
    .at(0);
}
