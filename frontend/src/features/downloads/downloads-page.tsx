import { useInfiniteQuery, useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { ArrowDown, ArrowUp, Download as DownloadIcon, Pause, Play, RotateCcw, Trash2, X } from "lucide-react";
import { type FormEvent, type MouseEvent, useEffect, useRef } from "react";
import {
  actOn,
  addDownload,
  type Download,
  type DownloadAction,
  forget,
  hasEnded,
  historyQuery,
  moveTo,
  providersQuery,
  queueQuery,
} from "@/api/downloads";
import { fieldError, messageOf } from "@/api/problem";
import { announce } from "@/components/announcer";
import { Loaded } from "@/components/loaded";
import { More } from "@/components/more";
import { PageHeader } from "@/components/page";
import { RelativeTime } from "@/components/relative-time";
import { notify } from "@/components/toasts";
import { Alert } from "@/components/ui/alert";
import { Badge } from "@/components/ui/badge";
import { Button } from "@/components/ui/button";
import { Card } from "@/components/ui/card";
import { EmptyState } from "@/components/ui/empty-state";
import { Field } from "@/components/ui/field";
import { Heading } from "@/components/ui/heading";
import { SelectField } from "@/components/ui/select-field";
import { usePolling } from "@/live/use-live";
import { texts } from "@/texts";
import { DownloadBar, DownloadFigures } from "./progress";

const { downloads } = texts;
const TONES = {
  queued: "neutral",
  running: "busy",
  paused: "warning",
  completed: "positive",
  failed: "danger",
  canceled: "neutral",
} as const;

/** What is being fetched, in its order, and what became of the rest. */
export default function DownloadsPage() {
  const polling = usePolling();
  const queue = useInfiniteQuery({ ...queueQuery, refetchInterval: polling });
  const history = useInfiniteQuery({ ...historyQuery, refetchInterval: polling });
  return (
    <>
      <PageHeader title={downloads.title} lead={downloads.lead} />
      <div className="grid grid-cols-1 gap-5">
        <AddCard />
        <Card aria-labelledby="queue-heading">
          <Heading id="queue-heading" className="mb-3">
            {downloads.queue}
          </Heading>
          <Loaded query={queue} failed={downloads.loadFailed}>
            {(items) =>
              items.length === 0 ? (
                <EmptyState icon={DownloadIcon} title={downloads.emptyTitle}>
                  <p>{downloads.emptyLead}</p>
                </EmptyState>
              ) : (
                <ol className="grid gap-5">
                  {items.map((item, index) => (
                    <Item key={item.id} item={item} first={index === 0} last={index === items.length - 1} />
                  ))}
                </ol>
              )
            }
          </Loaded>
          <More {...queue} />
        </Card>
        <Loaded query={history} failed={downloads.loadFailed}>
          {(items) => {
            const ended = items.filter(hasEnded);
            return (
              ended.length > 0 && (
                <Card aria-labelledby="history-heading">
                  <Heading id="history-heading" className="mb-3">
                    {downloads.history}
                  </Heading>
                  <ul className="grid gap-5">
                    {ended.map((item) => (
                      <Item key={item.id} item={item} />
                    ))}
                  </ul>
                  <More {...history} />
                </Card>
              )
            );
          }}
        </Loaded>
      </div>
    </>
  );
}

function AddCard() {
  const client = useQueryClient();
  const providers = useQuery(providersQuery);
  const add = useMutation({
    mutationFn: ({ url, provider }: { url: string; provider: string }) => addDownload(url, provider),
    onSuccess: () => client.invalidateQueries({ queryKey: ["downloads"] }),
  });
  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    if (add.isPending) return;
    const form = event.currentTarget;
    const data = new FormData(form);
    add.mutate(
      { url: String(data.get("url")).trim(), provider: String(data.get("provider") ?? "") },
      { onSuccess: () => form.reset() },
    );
  };
  const url = fieldError(add.error, "url");
  return (
    <Card aria-labelledby="add-heading">
      <Heading id="add-heading" className="mb-3">
        {downloads.add}
      </Heading>
      {providers.data?.length === 0 && <Alert className="mb-4">{downloads.noProviders}</Alert>}
      {add.isError && !url && (
        <Alert level="error" urgent className="mb-4">
          {messageOf(add.error)}
        </Alert>
      )}
      <form onSubmit={submit} className="flex flex-wrap items-start gap-3">
        <Field
          label={downloads.address}
          name="url"
          error={url}
          placeholder="https://"
          inputMode="url"
          autoComplete="off"
          required
          className="min-w-0 flex-1 basis-72"
        />
        <SelectField
          label={downloads.provider}
          name="provider"
          className="w-full sm:w-52"
          options={[
            { value: "", label: downloads.anyProvider },
            ...(providers.data ?? []).map(({ id, name }) => ({ value: id, label: name })),
          ]}
        />
        <Button type="submit" variant="primary" busy={add.isPending} className="sm:mt-6.5">
          {downloads.action}
        </Button>
      </form>
    </Card>
  );
}

function Item({ item, first, last }: { item: Download; first?: boolean; last?: boolean }) {
  const client = useQueryClient();
  const change = useMutation({
    mutationFn: (action: () => Promise<unknown>) => action(),
    onSuccess: () => client.invalidateQueries({ queryKey: ["downloads"] }),
    onError: (error) => notify(messageOf(error)),
  });
  const act = (action: DownloadAction) => change.mutate(() => actOn(item.id, action));
  // A row that moves in the page takes the focus from what is in it; whoever moves it by keyboard goes on moving it.
  const mover = useRef<HTMLButtonElement | null>(null);
  const move = (event: MouseEvent<HTMLButtonElement>, step: 1 | -1) => {
    if (change.isPending) return;
    const position = (item.position ?? 1) + step;
    mover.current = event.currentTarget;
    change.mutate(() => moveTo(item.id, position), {
      onSuccess: () => announce(downloads.moved(item.title, position)),
    });
  };
  // biome-ignore lint/correctness/useExhaustiveDependencies: it is about the moment at which the place changes
  useEffect(() => {
    if (mover.current && document.activeElement === document.body) mover.current.focus();
    mover.current = null;
  }, [item.position]);
  const ended = hasEnded(item);
  const pausable = item.wanted === "run" && !ended;
  const icon = (
    label: string,
    Icon: typeof Pause,
    onClick: (event: MouseEvent<HTMLButtonElement>) => void,
    disabled = false,
  ) => (
    <Button
      variant="ghost"
      size="icon-small"
      title={label}
      aria-label={downloads.of(label, item.title)}
      // It stays in the order of the keyboard: at an end of the queue the focus would be lost otherwise.
      aria-disabled={disabled || undefined}
      onClick={disabled ? undefined : onClick}
    >
      <Icon aria-hidden="true" />
    </Button>
  );
  return (
    <li className="grid grid-cols-1 gap-2">
      <div className="flex flex-wrap items-center gap-x-3 gap-y-1">
        <span className="min-w-0 flex-1 basis-48 font-medium break-words">{item.title}</span>
        <Badge tone={TONES[item.state]}>{downloads.states[item.state]}</Badge>
        <span className="flex">
          {!ended && (
            <>
              {icon(downloads.up, ArrowUp, (event) => move(event, -1), first)}
              {icon(downloads.down, ArrowDown, (event) => move(event, 1), last)}
              {pausable
                ? icon(downloads.pause, Pause, () => act("pause"))
                : icon(downloads.resume, Play, () => act("resume"))}
              {icon(downloads.cancel, X, () => act("cancel"))}
            </>
          )}
          {(item.state === "failed" || item.state === "canceled") &&
            icon(downloads.again, RotateCcw, () => act("retry"))}
          {ended && icon(downloads.forget, Trash2, () => change.mutate(() => forget(item.id)))}
        </span>
      </div>
      {!ended && <DownloadBar item={item} />}
      <p className="flex flex-wrap gap-x-3 text-sm text-muted tabular-nums">
        <DownloadFigures item={item} />
        <span>{item.provider}</span>
        <RelativeTime at={item.finishedAt ?? item.createdAt} />
      </p>
      {item.error && <p className="text-sm text-danger break-words">{item.error}</p>}
    </li>
  );
}
