import { FileUp } from "lucide-react";
import { type DragEvent, useEffect, useId, useRef, useState } from "react";
import type { PluginDetail } from "@/api/plugins";
import { ApiProblem, messageOf } from "@/api/problem";
import { bytes } from "@/components/bytes";
import { cn } from "@/components/cn";
import { Alert } from "@/components/ui/alert";
import { Button } from "@/components/ui/button";
import { Card } from "@/components/ui/card";
import { Confirm } from "@/components/ui/confirm";
import { Heading } from "@/components/ui/heading";
import { LeaveGuard } from "@/components/ui/leave-guard";
import { ProgressBar } from "@/components/ui/progress-bar";
import { texts } from "@/texts";
import { RestoreOutcome } from "./restore-outcome";
import { useRestore } from "./use-restore";

const { data } = texts;
const OTHER_VERSION = "/problems/backup-version";

/** Brings a backup back: chosen or dropped, confirmed, sent, and what came of it. */
export function RestoreCard({ plugin }: { plugin: PluginDetail }) {
  const [file, setFile] = useState<File | null>(null);
  const [asked, setAsked] = useState<"same" | "any" | null>(null);
  const restore = useRestore(plugin);
  const card = useRef<HTMLElement>(null);
  const { status } = restore;
  // The button that began it is gone: who works by keyboard goes on from here.
  useEffect(() => {
    if (status !== "idle") card.current?.focus({ preventScroll: true });
  }, [status]);
  const choose = (chosen: File) => {
    setFile(chosen);
    restore.reset();
  };
  return (
    <Card ref={card} tabIndex={-1} aria-labelledby="restore-heading" className="grid grid-cols-1 gap-4 outline-none">
      <Heading id="restore-heading">{data.restore}</Heading>
      <p className="text-pretty text-muted">{data.restoreLead(plugin.name)}</p>
      {restore.isPending ? (
        <Progress sent={restore.sent} size={restore.size} onCancel={restore.uploading ? restore.cancel : null} />
      ) : (
        <>
          <FileChoice file={file} onChoose={choose} />
          {file && (
            <Button variant="danger" className="justify-self-start" onClick={() => setAsked("same")}>
              {data.action}
            </Button>
          )}
        </>
      )}
      {restore.isError && <Failure error={restore.error} onAnyVersion={file && (() => setAsked("any"))} />}
      {restore.isSuccess && <RestoreOutcome pluginId={plugin.id} result={restore.data} />}
      {asked && file && (
        <Confirm
          title={data.confirmTitle(plugin.name)}
          action={data.confirmAction}
          typed={plugin.id}
          busy={false}
          onConfirm={() => {
            setAsked(null);
            restore.mutate({ file, anyVersion: asked === "any" });
          }}
          onClose={() => setAsked(null)}
        >
          <p className="break-words">{data.confirmFrom(file.name)}</p>
          <ul className="list-disc pl-5">
            {data.replaced.map((line) => (
              <li key={line}>{line}</li>
            ))}
          </ul>
          <p className="text-muted">{data.kept}</p>
          {asked === "any" && <Alert level="warning">{data.anyVersionLead}</Alert>}
        </Confirm>
      )}
      <LeaveGuard
        when={restore.uploading}
        title={data.leaveTitle}
        lead={data.leaveLead}
        stay={data.stay}
        leave={data.leave}
      />
    </Card>
  );
}

/** The file: by a button that works by keyboard, or dropped onto its box. */
function FileChoice({ file, onChoose }: { file: File | null; onChoose: (file: File) => void }) {
  const id = useId();
  const [over, setOver] = useState(false);
  const [many, setMany] = useState(false);
  const take = (files: FileList | null) => {
    const [first, second] = files ?? [];
    setMany(second !== undefined);
    if (first && !second) onChoose(first);
  };
  const drop = (event: DragEvent) => {
    event.preventDefault();
    setOver(false);
    take(event.dataTransfer.files);
  };
  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: dropping is one way more, beside the button in it
    <div
      onDragOver={(event) => {
        event.preventDefault();
        setOver(true);
      }}
      onDragLeave={() => setOver(false)}
      onDrop={drop}
      className={cn(
        "grid grid-cols-1 gap-2 rounded-lg border border-border-strong border-dashed p-4",
        over && "border-accent bg-accent-soft",
      )}
    >
      <div className="relative flex flex-wrap items-center gap-x-3 gap-y-2">
        <input
          id={id}
          type="file"
          accept=".tar,application/x-tar"
          className="peer sr-only"
          aria-describedby={`${id}-file`}
          onChange={(event) => {
            take(event.target.files);
            // The same file can be chosen again after it was changed.
            event.target.value = "";
          }}
        />
        <Button
          asChild
          className="cursor-pointer peer-focus-visible:outline-2 peer-focus-visible:outline-focus peer-focus-visible:outline-offset-2"
        >
          <label htmlFor={id}>
            <FileUp aria-hidden="true" />
            {file ? data.other : data.choose}
          </label>
        </Button>
        <span className="text-sm text-muted">{data.drop}</span>
      </div>
      <p id={`${id}-file`} role="status" className="min-w-0 text-sm break-all empty:hidden">
        {many ? data.oneOnly : file && data.chosen(file.name, bytes(file.size))}
      </p>
    </div>
  );
}

function Progress({ sent, size, onCancel }: { sent: number; size: number; onCancel: (() => void) | null }) {
  return (
    <div className="grid grid-cols-1 gap-2">
      <ProgressBar label={data.uploading} share={onCancel ? sent / size : null} />
      <div className="flex min-h-8 flex-wrap items-center justify-between gap-x-3 gap-y-2 text-sm">
        {onCancel ? (
          <>
            <span className="text-muted tabular-nums">{data.sent(bytes(sent), bytes(size))}</span>
            <Button size="small" onClick={onCancel}>
              {data.cancel}
            </Button>
          </>
        ) : (
          <p role="status">{data.working}</p>
        )}
      </div>
    </div>
  );
}

function Failure({ error, onAnyVersion }: { error: Error; onAnyVersion: (() => void) | null }) {
  if (error.name === "AbortError") {
    return (
      <p role="status" className="text-sm">
        {data.cancelled}
      </p>
    );
  }
  const problem = error instanceof ApiProblem ? error : null;
  return (
    <Alert level="error" urgent title={data.failed}>
      <p>{messageOf(error)}</p>
      {problem?.status === 0 && <p>{data.unsure}</p>}
      {problem?.problem?.errors && (
        <ul className="mt-2 list-disc pl-5">
          {problem.problem.errors.map(({ path, message }) => (
            <li key={`${path} ${message}`}>
              <code className="font-mono text-[0.8125rem]">{path}</code> {message}
            </li>
          ))}
        </ul>
      )}
      {problem?.type === OTHER_VERSION && onAnyVersion && (
        <Button size="small" variant="danger" className="mt-3" onClick={onAnyVersion}>
          {data.anyVersion}
        </Button>
      )}
    </Alert>
  );
}
