import { useQuery } from "@tanstack/react-query";
import { Archive, FileUp } from "lucide-react";
import { useId, useState } from "react";
import { type SystemBackup, systemBackupsQuery } from "@/api/system-backups";
import { bytes } from "@/components/bytes";
import { Loaded } from "@/components/loaded";
import { Button } from "@/components/ui/button";
import { Card } from "@/components/ui/card";
import { EmptyState } from "@/components/ui/empty-state";
import { Heading } from "@/components/ui/heading";
import { LeaveGuard } from "@/components/ui/leave-guard";
import { ProgressBar } from "@/components/ui/progress-bar";
import { texts } from "@/texts";
import { BackupTable } from "./backup-table";
import { DeleteBackup } from "./delete-backup";
import { MakeBackup } from "./make-backup";
import { RestoreBackup } from "./restore-backup";
import { RestoreResult } from "./restore-result";
import { useUpload } from "./use-upload";

const { backups } = texts;

type Open = { kind: "make" } | { kind: "restore" | "delete"; backup: SystemBackup } | null;

/** The backups of everything that are kept here: made, uploaded, downloaded, restored, deleted. */
export function BackupsCard() {
  const query = useQuery(systemBackupsQuery);
  const upload = useUpload();
  const [open, setOpen] = useState<Open>(null);
  const close = () => setOpen(null);
  const busy = query.data?.items.some((item) => item.state === "making") || query.data?.restore?.state === "running";
  return (
    <Card aria-labelledby="backups-heading" className="lg:col-span-2">
      <div className="mb-3 flex flex-wrap items-start justify-between gap-3">
        <div className="min-w-0 flex-1 basis-64">
          <Heading id="backups-heading">{backups.title}</Heading>
          <p className="mt-1 text-pretty text-muted">{backups.lead}</p>
        </div>
        <div className="flex flex-wrap gap-2">
          <UploadButton disabled={upload.isPending || busy === true} onChoose={upload.mutate} />
          <Button size="small" variant="primary" disabled={busy === true} onClick={() => setOpen({ kind: "make" })}>
            <Archive aria-hidden="true" />
            {backups.make}
          </Button>
        </div>
      </div>
      {upload.isPending && <Uploading upload={upload} />}
      <Loaded query={query} failed={backups.loadFailed}>
        {({ items, restore }) => (
          <>
            {items.length === 0 ? (
              <EmptyState icon={Archive} title={backups.emptyTitle}>
                <p>{backups.emptyLead}</p>
              </EmptyState>
            ) : (
              <BackupTable
                items={items}
                busy={busy === true}
                onRestore={(backup) => setOpen({ kind: "restore", backup })}
                onDelete={(backup) => setOpen({ kind: "delete", backup })}
              />
            )}
            {restore && (
              <section aria-labelledby="last-restore-heading" className="mt-5 border-t pt-4">
                <Heading level={3} id="last-restore-heading" className="mb-2">
                  {backups.last}
                </Heading>
                <RestoreResult restore={restore} />
              </section>
            )}
            {open?.kind === "restore" && (
              <RestoreBackup backup={open.backup} instance={query.data?.instance ?? ""} onClose={close} />
            )}
          </>
        )}
      </Loaded>
      {open?.kind === "make" && <MakeBackup onClose={close} />}
      {open?.kind === "delete" && <DeleteBackup backup={open.backup} onClose={close} />}
      <LeaveGuard
        when={upload.uploading}
        title={backups.leaveTitle}
        lead={backups.leaveLead}
        stay={backups.stay}
        leave={backups.leave}
      />
    </Card>
  );
}

function UploadButton({ disabled, onChoose }: { disabled: boolean; onChoose: (file: File) => void }) {
  const id = useId();
  return (
    <span className="relative">
      <input
        id={id}
        type="file"
        accept=".tar,application/x-tar"
        className="peer sr-only"
        disabled={disabled}
        onChange={(event) => {
          const [file] = event.target.files ?? [];
          if (file) onChoose(file);
          // The same file can be chosen again after it was changed.
          event.target.value = "";
        }}
      />
      <Button
        asChild
        size="small"
        className="cursor-pointer peer-disabled:cursor-default peer-disabled:opacity-55 peer-focus-visible:outline-2 peer-focus-visible:outline-focus peer-focus-visible:outline-offset-2"
      >
        <label htmlFor={id}>
          <FileUp aria-hidden="true" />
          {backups.upload}
        </label>
      </Button>
    </span>
  );
}

function Uploading({ upload }: { upload: ReturnType<typeof useUpload> }) {
  return (
    <div className="mb-4 grid grid-cols-1 gap-2">
      <ProgressBar label={backups.uploading} share={upload.uploading ? upload.sent / upload.size : null} />
      <div className="flex min-h-8 flex-wrap items-center justify-between gap-x-3 gap-y-2 text-sm">
        {upload.uploading ? (
          <>
            <span className="text-muted tabular-nums">{backups.sent(bytes(upload.sent), bytes(upload.size))}</span>
            <Button size="small" onClick={upload.cancel}>
              {backups.cancel}
            </Button>
          </>
        ) : (
          <p role="status">{backups.checking}</p>
        )}
      </div>
    </div>
  );
}
