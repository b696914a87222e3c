import { X } from "lucide-react";
import { useEffect, useState } from "react";
import type { ListedPlugin, Others } from "@/api/plugins";
import { announce } from "@/components/announcer";
import { Alert } from "@/components/ui/alert";
import { Badge } from "@/components/ui/badge";
import { Button } from "@/components/ui/button";
import { Card } from "@/components/ui/card";
import { Confirm } from "@/components/ui/confirm";
import { Heading } from "@/components/ui/heading";
import { Spinner } from "@/components/ui/spinner";
import { texts } from "@/texts";
import { type Outcome, outcomeOf, question, skipped, tally, type Verb } from "./bulk";
import { NeedsDialog } from "./needs-dialog";
import type { Selection } from "./plugin-list";
import { PluginName } from "./plugin-name";
import type { BulkRun } from "./use-bulk";

const { bulk } = texts;

export interface BulkBarProps {
  chosen: readonly ListedPlugin[];
  shown: number;
  selection: Selection;
  onStart: (verb: Verb, plugins: readonly ListedPlugin[]) => void;
  onDone: () => void;
}

/** What can be done with the plugins that are marked. Stays in sight while one scrolls. */
export function BulkBar({ chosen, shown, selection, onStart, onDone }: BulkBarProps) {
  const [asked, setAsked] = useState(false);
  const able = (verb: Verb) => chosen.filter((plugin) => skipped(plugin, verb) === null).length;
  const off = chosen.filter((plugin) => skipped(plugin, "disable") === null);
  return (
    <section
      aria-label={bulk.label}
      className="sticky bottom-3 z-20 mt-5 flex flex-wrap items-center gap-x-3 gap-y-2 rounded-card border bg-surface px-4 py-3 shadow-lg"
    >
      <p role="status" className="font-medium tabular-nums">
        {bulk.count(chosen.length)}
      </p>
      <Button size="small" variant="ghost" onClick={() => selection.all(chosen.length < shown)}>
        {chosen.length < shown ? bulk.selectAll(shown) : bulk.selectNone}
      </Button>
      <span className="ml-auto flex flex-wrap gap-2">
        <Button
          size="small"
          variant="primary"
          disabled={able("enable") === 0}
          onClick={() => onStart("enable", chosen)}
        >
          {bulk.enable(able("enable"))}
        </Button>
        <Button size="small" variant="danger" disabled={off.length === 0} onClick={() => setAsked(true)}>
          {bulk.disable(off.length)}
        </Button>
        <Button size="icon-small" variant="ghost" aria-label={bulk.end} title={bulk.end} onClick={onDone}>
          <X aria-hidden="true" />
        </Button>
      </span>
      {asked && (
        <Confirm
          title={bulk.disableTitle(off.length)}
          action={bulk.disable(off.length)}
          busy={false}
          onConfirm={() => {
            setAsked(false);
            onStart("disable", chosen);
          }}
          onClose={() => setAsked(false)}
        >
          <p>{bulk.disableLead}</p>
          <ul className="max-h-48 list-disc overflow-y-auto pl-5">
            {off.map((plugin) => (
              <li key={plugin.id}>{plugin.name}</li>
            ))}
          </ul>
        </Confirm>
      )}
    </section>
  );
}

const TONES = {
  waiting: "neutral",
  "under-way": "busy",
  done: "positive",
  failed: "danger",
  skipped: "neutral",
} as const satisfies Record<Outcome, string>;
const ORDER: Record<Outcome, number> = { failed: 0, "under-way": 1, waiting: 2, done: 3, skipped: 4 };

export interface BulkResultProps {
  run: BulkRun;
  plugins: readonly ListedPlugin[];
  onStart: (verb: Verb, plugins: readonly ListedPlugin[], others?: Others) => void;
  onClose: () => void;
}

/** What became of a change to many: each plugin as Nimbus has it now, what failed first. */
export function BulkResult({ run, plugins, onStart, onClose }: BulkResultProps) {
  const now = new Map(plugins.map((plugin) => [plugin.id, plugin]));
  const rows = run.items
    .map((item) => {
      const [outcome, words] = outcomeOf(item, now.get(item.id), run.verb);
      return { item, outcome, words };
    })
    .sort((a, b) => ORDER[a.outcome] - ORDER[b.outcome]);
  const counts = tally(rows.map(({ outcome }) => outcome));
  const open = counts.waiting + counts["under-way"];
  const summary = bulk.summary(run.verb, counts);
  useEffect(() => {
    if (open === 0) announce(summary);
  }, [open, summary]);
  // Asked once all have answered, and not again for the same answers once it was put away.
  const [putAway, setPutAway] = useState<BulkRun["items"] | null>(null);
  const asks = run.over && putAway !== run.items ? question(run.items) : null;
  const known = (ids: readonly string[]) => ids.flatMap((id) => now.get(id) ?? []);
  const refused = known(rows.filter(({ item }) => item.asked === "refused").map(({ item }) => item.id));
  const changed = known(rows.filter(({ item }) => item.asked === "asked").map(({ item }) => item.id));
  return (
    <Card aria-labelledby="bulk-heading" className="mb-5 grid grid-cols-1 gap-3">
      <div className="flex items-start justify-between gap-3">
        <Heading id="bulk-heading" className="flex items-center gap-2">
          {open > 0 && <Spinner />}
          {bulk.title(run.verb, run.items.length)}
        </Heading>
        <Button size="icon-small" variant="ghost" aria-label={bulk.close} onClick={onClose}>
          <X aria-hidden="true" />
        </Button>
      </div>
      <p className="text-muted tabular-nums">{summary}</p>
      {counts.failed > 0 && open === 0 && <Alert level="warning">{bulk.someFailed(counts.failed)}</Alert>}
      {/* A group and not a region: the card round it is the landmark. */}
      {/* biome-ignore lint/a11y/useSemanticElements: it is no group of fields */}
      <div
        role="group"
        // biome-ignore lint/a11y/noNoninteractiveTabindex: a box that scrolls has to be reachable by keyboard
        tabIndex={0}
        aria-label={bulk.each}
        className="-mx-1 max-h-72 overflow-y-auto px-1"
      >
        <ul className="grid gap-2 text-sm">
          {rows.map(({ item, outcome, words }) => (
            <li key={item.id} data-outcome={outcome} className="grid gap-x-3 sm:grid-cols-[14rem_minmax(0,1fr)]">
              <span className="flex min-w-0 flex-wrap items-center gap-2">
                <PluginName id={item.id} name={item.name} />
                <Badge tone={TONES[outcome]}>{bulk.outcomes[outcome]}</Badge>
              </span>
              <span className="min-w-0 break-words text-muted">{words}</span>
            </li>
          ))}
        </ul>
      </div>
      {asks && (
        <NeedsDialog
          names={asks.names}
          needs={asks.needs}
          onDecide={(others) => onStart(run.verb, known(asks.ids), others)}
          onClose={() => setPutAway(run.items)}
        />
      )}
      {open === 0 && (
        <div className="flex flex-wrap gap-2">
          {refused.length > 0 && (
            <Button size="small" onClick={() => onStart(run.verb, refused)}>
              {bulk.again(refused.length)}
            </Button>
          )}
          {changed.length > 0 && run.verb === "disable" && (
            <Button size="small" onClick={() => onStart("enable", changed)}>
              {bulk.undo}
            </Button>
          )}
        </div>
      )}
    </Card>
  );
}
