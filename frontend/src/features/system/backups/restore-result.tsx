import type { SystemRestore } from "@/api/system-backups";
import { RelativeTime } from "@/components/relative-time";
import { Alert } from "@/components/ui/alert";
import { Badge } from "@/components/ui/badge";
import { ProgressBar } from "@/components/ui/progress-bar";
import { texts } from "@/texts";

const { backups } = texts;
const STATES = { running: "accent", done: "positive", failed: "danger" } as const;
const OUTCOMES = { restored: "positive", partly: "warning", failed: "danger", "not-in-backup": "neutral" } as const;

/** How a restore goes or went, and what came of each plugin. */
export function RestoreResult({ restore }: { restore: SystemRestore }) {
  const { state, startedAt, progress, error, changed, keptAs, plugins = [] } = restore;
  return (
    <div className="grid grid-cols-1 gap-3 text-sm">
      <p role="status" className="flex flex-wrap items-center gap-2">
        <Badge tone={STATES[state]}>{backups.lastStates[state]}</Badge>
        <RelativeTime at={startedAt} className="text-muted" />
      </p>
      {progress && (
        <>
          <ProgressBar
            label={backups.restoring}
            share={progress.total ? (progress.done ?? 0) / progress.total : null}
          />
          <p className="text-muted break-words">{progress.step}</p>
        </>
      )}
      {error && (
        <Alert level="error" title={backups.notRestored}>
          <p>{error}</p>
          {!changed && <p>{backups.untouched}</p>}
        </Alert>
      )}
      {plugins.length > 0 && (
        <ul aria-label={backups.plugins} className="grid gap-2">
          {plugins.map((plugin) => (
            <li key={plugin.id} className="grid grid-cols-[auto_minmax(0,1fr)] items-baseline gap-x-3">
              <Badge tone={OUTCOMES[plugin.outcome]}>{backups.outcomes[plugin.outcome]}</Badge>
              <span className="break-words">
                <b className="font-medium">{plugin.id}</b> {plugin.message}
              </span>
            </li>
          ))}
        </ul>
      )}
      {keptAs && <p className="text-muted">{backups.kept}</p>}
    </div>
  );
}
