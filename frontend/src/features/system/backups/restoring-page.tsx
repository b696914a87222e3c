import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useRouter } from "@tanstack/react-router";
import { restoreQuery } from "@/api/system-backups";
import { exactTime } from "@/components/relative-time";
import { Alert } from "@/components/ui/alert";
import { Button } from "@/components/ui/button";
import { AuthFrame } from "@/features/auth/auth-frame";
import { texts } from "@/texts";
import { RestoreResult } from "./restore-result";

const { backups } = texts;

/** Follows a restore of everything, for whoever began it in this tab: their session ends by it. */
export default function RestoringPage() {
  const client = useQueryClient();
  const router = useRouter();
  const { data, error } = useQuery(restoreQuery);
  const goOn = async () => {
    // What was read before is not so any more, and the session has ended.
    client.clear();
    await router.navigate({ to: "/system" });
  };
  const state = data?.state;
  const title =
    state === "done"
      ? backups.restored
      : state === "failed"
        ? backups.notRestored
        : data === null
          ? backups.noRestore
          : backups.restoring;
  const lead =
    state === "done" && data
      ? backups.restoredLead(exactTime(data.backupCreatedAt))
      : data === null
        ? backups.noRestoreLead
        : backups.restoringLead;
  return (
    <AuthFrame title={title} lead={state === "failed" ? "" : lead}>
      <div className="grid gap-5">
        {error && <Alert level="warning">{backups.away}</Alert>}
        {data && <RestoreResult restore={data} />}
        {(data === null || (state && state !== "running")) && (
          <Button variant="primary" onClick={() => void goOn()}>
            {backups.goOn}
          </Button>
        )}
      </div>
    </AuthFrame>
  );
}
