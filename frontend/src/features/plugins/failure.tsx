import { Link } from "@tanstack/react-router";
import type { FieldProblem, ListedPlugin, Reason } from "@/api/plugins";
import { cn } from "@/components/cn";
import { texts } from "@/texts";
import { LastLines } from "./last-lines";
import { needsAttention, toneOf } from "./state";

interface ReasonPanelProps {
  reason: Reason;
  warning?: boolean;
  open?: boolean;
  /** The plugin whose settings may be opened from here. */
  configure?: string;
}

/** Why a plugin is where it is, what to do about it, which settings it lacks, and what it printed last. */
export function ReasonPanel({ reason, warning, open, configure }: ReasonPanelProps) {
  const fields = reason.fields ?? [];
  return (
    <div
      className={cn(
        "grid grid-cols-1 gap-2 rounded-lg px-4 py-3 text-sm",
        warning ? "bg-warning-soft" : "bg-danger-soft",
      )}
    >
      <p className="break-words font-medium">{reason.message}</p>
      {reason.hint && <p className="break-words">{reason.hint}</p>}
      {reason.hop && !warning && (
        <p className="text-danger">{texts.failure.hop(texts.failure.hops[reason.hop] ?? reason.hop)}</p>
      )}
      {fields.length > 0 && (
        <ul aria-label={texts.failure.fields} className="grid gap-1">
          {fields.map((field) => (
            <li key={field.path} className="break-words">
              <code className="font-mono text-[0.8125rem]">{field.path.replace(/^\//, "") || "/"}</code>{" "}
              {field.message}
            </li>
          ))}
        </ul>
      )}
      {fields.length > 0 && configure !== undefined && (
        <Link
          to="/manage/plugins/$pluginId/settings"
          params={{ pluginId: configure }}
          className="w-fit rounded font-medium text-accent underline underline-offset-2"
        >
          {texts.failure.configure}
        </Link>
      )}
      <LastLines lines={reason.logTail ?? []} {...(open && { open })} />
    </div>
  );
}

const SHOWN = 4;

function found(value: unknown): string | null {
  if (value === undefined || value === null) return null;
  const text = typeof value === "string" ? `“${value}”` : JSON.stringify(value);
  return text.length > 80 ? `${text.slice(0, 79)}…` : text;
}

/** What is wrong with a manifest, each error with its place. */
export function ManifestErrors({ errors, all }: { errors: readonly FieldProblem[]; all?: boolean }) {
  const shown = all ? errors : errors.slice(0, SHOWN);
  return (
    <div className="grid grid-cols-1 gap-2 rounded-lg bg-danger-soft px-4 py-3 text-sm">
      <p className="font-medium">{texts.plugins.manifestErrors}</p>
      <ul className="grid gap-2">
        {shown.map((error) => {
          const value = found(error.value);
          return (
            <li key={`${error.path} ${error.message}`} className="min-w-0 break-words">
              <code className="font-mono text-[0.8125rem] text-danger">{error.path || "/"}</code> {error.message}
              {value && <span className="text-muted"> ({texts.plugins.found(value)})</span>}
              {error.suggestion && <span> {texts.plugins.suggestion(error.suggestion)}</span>}
            </li>
          );
        })}
      </ul>
      {shown.length < errors.length && <p>{texts.plugins.moreErrors(errors.length - shown.length)}</p>}
    </div>
  );
}

/** Manifest errors or the reason of a failure; nothing while all is well. */
export function Trouble({ plugin, all, admin }: { plugin: ListedPlugin; all?: boolean; admin?: boolean }) {
  if (plugin.errors?.length) return <ManifestErrors errors={plugin.errors} {...(all && { all })} />;
  if (!plugin.reason || !needsAttention(plugin.state)) return null;
  return (
    <ReasonPanel
      reason={plugin.reason}
      warning={toneOf(plugin.state) === "warning"}
      {...(all && { open: true })}
      {...(admin && { configure: plugin.id })}
    />
  );
}
