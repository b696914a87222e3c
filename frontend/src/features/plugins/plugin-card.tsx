import { Link } from "@tanstack/react-router";
import { ArrowUpRight } from "lucide-react";
import { memo } from "react";
import type { ListedPlugin } from "@/api/plugins";
import { messageOf } from "@/api/problem";
import { cn } from "@/components/cn";
import { PluginIcon } from "@/components/plugin-icon";
import { Alert } from "@/components/ui/alert";
import { Badge } from "@/components/ui/badge";
import { Button } from "@/components/ui/button";
import { Card } from "@/components/ui/card";
import { Heading } from "@/components/ui/heading";
import { texts } from "@/texts";
import { EnableSwitch } from "./enable-switch";
import { Trouble } from "./failure";
import { SelectBox } from "./select-box";
import { StageProgress } from "./stage-progress";
import { stageOf } from "./state";
import { StateBadge } from "./state-badge";
import { useRestart, useSetEnabled } from "./use-changes";

export interface PluginCardProps {
  plugin: ListedPlugin;
  /** May switch it. */
  admin: boolean;
  /** Path of its first page within the plugin, while it has one to open. */
  page: string | null;
  /** Whether it is marked for a change to many; `null` while nothing can be. */
  selected?: boolean | null;
  onSelect?: ((id: string, range: boolean) => void) | undefined;
}

export const PluginCard = memo(function PluginCard({
  plugin,
  admin,
  page,
  selected = null,
  onSelect,
}: PluginCardProps) {
  const change = useSetEnabled(plugin.id);
  const restart = useRestart(plugin.id);
  const asking = change.isPending
    ? change.variables.enabled
      ? texts.plugins.askedOn
      : texts.plugins.askedOff
    : null;
  const error = change.failure ?? restart.error;
  const retryable = admin && plugin.enabled && (plugin.state === "quarantined" || plugin.state === "failed");
  return (
    <Card
      aria-label={plugin.name}
      data-plugin={plugin.id}
      data-state={plugin.state}
      className={cn("flex flex-col gap-4 sm:p-5", selected && "outline-2 outline-accent")}
    >
      <div className="flex items-start gap-3.5">
        {selected !== null && onSelect && (
          <span className="mt-3.5">
            <SelectBox id={plugin.id} name={plugin.name} checked={selected} onSelect={onSelect} />
          </span>
        )}
        <span className="grid size-11 shrink-0 place-items-center rounded-xl bg-accent-soft text-accent">
          <PluginIcon name={plugin.icon} className="size-[1.375rem]" />
        </span>
        <div className="min-w-0 flex-1">
          <Heading level={2} className="truncate text-base leading-6">
            <Link
              to="/manage/plugins/$pluginId"
              params={{ pluginId: plugin.id }}
              aria-label={texts.plugins.manage(plugin.name)}
              className="rounded hover:underline hover:decoration-border-strong hover:underline-offset-4"
            >
              {plugin.name}
            </Link>
          </Heading>
          <p className="truncate text-sm text-muted">
            <span title={texts.plugins.version(plugin.version)}>{plugin.version}</span>
            {plugin.author && <span> · {texts.plugins.by(plugin.author)}</span>}
          </p>
        </div>
        {admin && <EnableSwitch plugin={plugin} change={change} />}
      </div>
      {plugin.description && <p className="line-clamp-3 text-pretty text-sm">{plugin.description}</p>}
      {(plugin.capabilities?.length ?? 0) > 0 && (
        <ul aria-label={texts.plugins.capabilities} className="flex flex-wrap gap-1.5">
          {plugin.capabilities?.map((capability) => (
            <li key={capability}>
              <Badge tone="outline">{capability}</Badge>
            </li>
          ))}
        </ul>
      )}
      <Trouble plugin={plugin} admin={admin} />
      {error && (
        <Alert level="error" urgent title={texts.plugins.changeFailed(plugin.name)}>
          {messageOf(error)}
        </Alert>
      )}
      <div className="mt-auto grid gap-3 border-t pt-4">
        {stageOf(plugin.state) !== null && <StageProgress plugin={plugin} />}
        <div className="flex min-h-8 items-center justify-between gap-3">
          <span className="flex min-w-0 flex-wrap items-center gap-2">
            <StateBadge state={plugin.state} />
            {asking && <span className="text-sm text-muted">{asking}</span>}
          </span>
          {page !== null && (
            <Button size="small" asChild>
              <Link
                to="/plugins/$pluginId/$"
                params={{ pluginId: plugin.id, _splat: page.slice(1) }}
                aria-label={texts.plugins.openPageOf(plugin.name)}
              >
                {texts.plugins.openPage}
                <ArrowUpRight aria-hidden="true" />
              </Link>
            </Button>
          )}
          {retryable && (
            <Button size="small" busy={restart.isPending} onClick={() => restart.mutate()}>
              {restart.isPending ? texts.failure.restarting : texts.failure.restart}
            </Button>
          )}
        </div>
      </div>
    </Card>
  );
});
