import { useMutation, useQuery } from "@tanstack/react-query";
import { getRouteApi } from "@tanstack/react-router";
import { Download } from "lucide-react";
import { useEffect, useRef } from "react";
import { downloadBackup } from "@/api/backups";
import { type PluginDetail, pluginQuery } from "@/api/plugins";
import { messageOf } from "@/api/problem";
import { Alert } from "@/components/ui/alert";
import { Button } from "@/components/ui/button";
import { Card } from "@/components/ui/card";
import { Heading } from "@/components/ui/heading";
import { texts } from "@/texts";
import { ReasonPanel } from "../../failure";
import { DataUse } from "./data-use";
import { RestoreCard } from "./restore-card";

const route = getRouteApi("/app/manage/plugins/$pluginId");
const { data } = texts;

/** What a plugin keeps, and the way to save it and to bring it back. */
export default function DataTab() {
  const { pluginId } = route.useParams();
  const { data: plugin } = useQuery(pluginQuery(pluginId));
  if (!plugin) return null;
  return (
    <div className="grid max-w-3xl grid-cols-1 gap-5">
      <KeepsCard plugin={plugin} />
      {plugin.manifest && (
        <>
          <BackupCard plugin={plugin} />
          <RestoreCard plugin={plugin} />
        </>
      )}
    </div>
  );
}

function KeepsCard({ plugin }: { plugin: PluginDetail }) {
  const { manifest, reason } = plugin;
  return (
    <Card aria-labelledby="keeps-heading" className="grid grid-cols-1 gap-3">
      <Heading id="keeps-heading">{data.title}</Heading>
      {manifest ? (
        <p className="text-pretty text-muted">{manifest.runtime.data ? data.files : data.noFiles}</p>
      ) : (
        <Alert level="warning">{data.broken}</Alert>
      )}
      {manifest?.runtime.data && <DataUse pluginId={plugin.id} />}
      {reason?.code.startsWith("data-") && <ReasonPanel reason={reason} warning={reason.code !== "data-full"} />}
    </Card>
  );
}

/** Makes a backup, and has the browser save it. */
export function BackupCard({ plugin }: { plugin: PluginDetail }) {
  const controller = useRef<AbortController | null>(null);
  useEffect(() => () => controller.current?.abort(), []);
  const backup = useMutation({
    mutationFn: () => {
      controller.current = new AbortController();
      return downloadBackup(plugin.id, controller.current.signal);
    },
  });
  return (
    <Card aria-labelledby="backup-heading" className="grid grid-cols-1 gap-3">
      <Heading id="backup-heading">{data.backup}</Heading>
      <p className="text-pretty text-muted">{data.backupLead}</p>
      <ul className="list-disc pl-5 text-pretty">
        <li>{plugin.manifest?.runtime.data ? data.stops : data.goesOn}</li>
        <li>{data.secrets}</li>
      </ul>
      <div className="flex flex-wrap items-center gap-x-3 gap-y-2">
        <Button busy={backup.isPending} onClick={() => backup.mutate()}>
          <Download aria-hidden="true" />
          {data.download}
        </Button>
        <p role="status" className="text-sm text-muted">
          {backup.isPending ? data.preparing : backup.isSuccess ? data.saved : ""}
        </p>
      </div>
      {backup.isError && (
        <Alert level="error" title={data.notMade} urgent>
          {messageOf(backup.error)}
        </Alert>
      )}
    </Card>
  );
}
