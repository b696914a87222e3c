import { Download } from "lucide-react";
import { fileOf, type SystemBackup } from "@/api/system-backups";
import { bytes } from "@/components/bytes";
import { exactTime } from "@/components/relative-time";
import { Badge } from "@/components/ui/badge";
import { Button } from "@/components/ui/button";
import { DataTable } from "@/components/ui/data-table";
import { ProgressBar } from "@/components/ui/progress-bar";
import { texts } from "@/texts";

const { backups } = texts;
const TONES = { making: "accent", ready: "positive", failed: "danger" } as const;

export interface BackupTableProps {
  items: readonly SystemBackup[];
  /** Something is under way, so nothing else can begin. */
  busy: boolean;
  onRestore: (backup: SystemBackup) => void;
  onDelete: (backup: SystemBackup) => void;
}

export function BackupTable({ items, busy, onRestore, onDelete }: BackupTableProps) {
  return (
    <DataTable
      label={backups.title}
      rows={items}
      rowKey={(backup) => backup.id}
      columns={[
        {
          title: backups.made,
          cell: (backup) => (
            <>
              {exactTime(backup.createdAt)}
              <span className="block text-muted">
                {backups.origins[backup.origin]}
                {backup.instance && ` · ${backup.instance}`}
              </span>
            </>
          ),
        },
        { title: backups.state, cell: (backup) => <State backup={backup} /> },
        {
          title: backups.size,
          className: "whitespace-nowrap tabular-nums",
          cell: (backup) => (backup.state === "ready" ? bytes(backup.size ?? 0) : ""),
        },
        { title: backups.holds, cell: (backup) => backup.state === "ready" && <Holds backup={backup} /> },
        {
          title: backups.actions,
          bare: true,
          cell: (backup) => {
            const made = exactTime(backup.createdAt);
            return (
              <div className="flex flex-wrap justify-end gap-2">
                {backup.state === "ready" && (
                  <>
                    <Button asChild size="small">
                      <a href={fileOf(backup.id)} download aria-label={backups.downloadOf(made)}>
                        <Download aria-hidden="true" />
                        {backups.download}
                      </a>
                    </Button>
                    <Button
                      size="small"
                      aria-label={backups.restoreOf(made)}
                      disabled={busy}
                      onClick={() => onRestore(backup)}
                    >
                      {backups.restore}
                    </Button>
                  </>
                )}
                {backup.state !== "making" && (
                  <Button
                    size="small"
                    variant="danger"
                    aria-label={backups.removeOf(made)}
                    disabled={busy}
                    onClick={() => onDelete(backup)}
                  >
                    {backups.remove}
                  </Button>
                )}
              </div>
            );
          },
        },
      ]}
    />
  );
}

function State({ backup: { state, progress, error } }: { backup: SystemBackup }) {
  return (
    <div className="grid grid-cols-1 gap-1.5">
      <span>
        <Badge tone={TONES[state]}>{backups.states[state]}</Badge>
      </span>
      {progress && (
        <>
          <ProgressBar
            label={backups.states.making}
            share={progress.total ? (progress.done ?? 0) / progress.total : null}
          />
          <span className="text-muted break-words">{progress.step}</span>
        </>
      )}
      {error && <span className="text-danger break-words">{error}</span>}
    </div>
  );
}

function Holds({ backup: { plugins = [], remarks = [] } }: { backup: SystemBackup }) {
  const withData = plugins.filter((plugin) => plugin.data).length;
  return (
    <>
      {backups.contents(plugins.length, withData)}
      {plugins.map(
        ({ id, problem }) =>
          problem && (
            <span key={id} className="block text-danger break-words">
              {backups.withoutData(id, problem)}
            </span>
          ),
      )}
      {remarks.map((remark) => (
        <span key={remark} className="block text-muted break-words">
          {remark}
        </span>
      ))}
    </>
  );
}
