import type { PluginSummary } from "@/api/plugins";
import { cn } from "@/components/cn";
import { useNow } from "@/components/use-now";
import { texts } from "@/texts";
import { STAGE_NAMES, stageOf } from "./state";

function elapsed(since: string, now: number): string {
  const seconds = Math.max(0, Math.floor(now / 1000) - Math.floor(Date.parse(since) / 1000));
  return seconds < 60 ? `${seconds} s` : `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
}

/** For how long something is under way, kept true while it is shown. */
export function Elapsed({ since }: { since: string }) {
  return <span className="shrink-0 tabular-nums">{elapsed(since, useNow())}</span>;
}

/** How far a start has come: its stages, what is done right now, and for how long. */
export function StageProgress({ plugin, className }: { plugin: PluginSummary; className?: string }) {
  const stage = stageOf(plugin.state);
  if (stage === null) return null;

  const total = STAGE_NAMES.length;
  const step = texts.stages.step(stage + 1, total);
  return (
    <div className={cn("grid gap-2", className)}>
      <div
        role="progressbar"
        aria-label={texts.stages.label(plugin.name)}
        aria-valuemin={0}
        aria-valuemax={total}
        aria-valuenow={stage}
        aria-valuetext={`${texts.states[plugin.state]}, ${step}`}
        className="grid grid-cols-4 gap-1.5"
      >
        {STAGE_NAMES.map((name, index) => (
          <span key={name} className="grid gap-1">
            <span
              className={cn(
                "h-1.5 rounded-full bg-border",
                index < stage && "bg-accent",
                index === stage && "animate-breathe bg-accent",
              )}
            />
            <span className={cn("truncate text-xs text-muted", index === stage && "font-medium text-text")}>
              {texts.stages[name]}
            </span>
          </span>
        ))}
      </div>
      <p className="flex min-w-0 gap-2 text-sm text-muted">
        <span className="min-w-0 flex-1 truncate" title={plugin.progress ?? undefined}>
          {plugin.progress || texts.stateHelp[plugin.state]}
        </span>
        <Elapsed since={plugin.since} />
      </p>
    </div>
  );
}
