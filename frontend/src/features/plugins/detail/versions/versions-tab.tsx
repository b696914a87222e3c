import { useQuery } from "@tanstack/react-query";
import { getRouteApi } from "@tanstack/react-router";
import { useState } from "react";
import { type PluginVersion, versionsQuery } from "@/api/plugin-admin";
import { pluginQuery } from "@/api/plugins";
import { Loaded } from "@/components/loaded";
import { RelativeTime } from "@/components/relative-time";
import { Alert } from "@/components/ui/alert";
import { Badge } from "@/components/ui/badge";
import { Button } from "@/components/ui/button";
import { Card } from "@/components/ui/card";
import { Heading } from "@/components/ui/heading";
import { texts } from "@/texts";
import { ChangelogDetails } from "./changelog";
import { GoBack } from "./go-back";
import { TakeVersion } from "./take-version";
import { UpgradeCard } from "./upgrade-card";

const route = getRouteApi("/app/manage/plugins/$pluginId");
const { versions } = texts;
const TONES = { current: "positive", kept: "neutral", waiting: "warning", rejected: "danger" } as const;

type Open = { kind: "back" | "take"; version: PluginVersion } | null;

/** Which versions are here, and the ways forward and back. */
export default function Versions() {
  const { pluginId } = route.useParams();
  const query = useQuery(versionsQuery(pluginId));
  const { data: plugin } = useQuery(pluginQuery(pluginId));
  const [open, setOpen] = useState<Open>(null);
  const close = () => setOpen(null);
  return (
    <div className="grid max-w-3xl grid-cols-1 gap-5">
      {plugin?.source.startsWith("folder:") ? (
        <Alert>{versions.fromFolder}</Alert>
      ) : (
        <UpgradeCard id={pluginId} onFetched={(version) => setOpen({ kind: "take", version })} />
      )}
      <Card aria-labelledby="versions-heading">
        <Heading id="versions-heading" className="mb-3">
          {versions.title}
        </Heading>
        <Loaded query={query} failed={versions.loadFailed}>
          {(items) => (
            <ul className="grid gap-5">
              {items.map((item) => (
                <li key={`${item.version} ${item.status}`} className="grid grid-cols-1 gap-1.5">
                  <div className="flex flex-wrap items-center gap-x-3 gap-y-1">
                    <span className="font-medium">{item.version}</span>
                    <Badge tone={TONES[item.status]}>{versions.statuses[item.status]}</Badge>
                    <RelativeTime at={item.since} className="text-sm text-muted" />
                    {item.status === "kept" && (
                      <Button
                        size="small"
                        className="ml-auto"
                        aria-label={versions.backTo(item.version)}
                        onClick={() => setOpen({ kind: "back", version: item })}
                      >
                        {versions.back}
                      </Button>
                    )}
                    {item.status === "waiting" && (
                      <Button
                        size="small"
                        variant="primary"
                        className="ml-auto"
                        onClick={() => setOpen({ kind: "take", version: item })}
                      >
                        {versions.decide}
                      </Button>
                    )}
                  </div>
                  <code className="font-mono text-xs text-muted break-all">{item.digest ?? item.source}</code>
                  {item.reason && <p className="text-sm break-words">{item.reason.message}</p>}
                  {item.status === "waiting" && (item.missingPermissions?.length ?? 0) > 0 && (
                    <p className="text-sm break-words text-warning">
                      {versions.wants(item.missingPermissions ?? [])}
                    </p>
                  )}
                  <ChangelogDetails version={item} />
                  {item.hasSnapshot && <p className="text-sm text-muted">{versions.snapshot}</p>}
                  {item.settings && item.status !== "current" && (
                    <p className="text-sm break-words text-muted">{versions.settings(item.settings.keys)}</p>
                  )}
                </li>
              ))}
            </ul>
          )}
        </Loaded>
      </Card>
      {open?.kind === "back" && <GoBack id={pluginId} version={open.version} onClose={close} />}
      {open?.kind === "take" && (
        <TakeVersion
          id={pluginId}
          name={plugin?.name ?? pluginId}
          installed={query.data?.find(({ status }) => status === "current")}
          version={open.version}
          onClose={close}
        />
      )}
    </div>
  );
}
