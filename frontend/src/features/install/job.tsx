import { Link } from "@tanstack/react-router";
import type { InstallJob } from "@/api/installs";
import { bytes } from "@/components/bytes";
import { RelativeTime } from "@/components/relative-time";
import { Badge } from "@/components/ui/badge";
import { ProgressBar } from "@/components/ui/progress-bar";
import { Spinner } from "@/components/ui/spinner";
import { texts } from "@/texts";

const { install } = texts;

export interface JobProps {
  job: InstallJob;
  /** It was begun here, so what becomes of it is said aloud. */
  fresh: boolean;
}

type Layer = NonNullable<InstallJob["layers"]>[number];

/** The engine's words for a layer that is here. */
const HERE = new Set(["Already exists", "Pull complete"]);
/** All of it is fetched: what comes next has no share of its own. */
const FETCHED = new Set([...HERE, "Download complete", "Verifying Checksum"]);
const isHere = ({ status }: Layer) => HERE.has(status);

/** How far the fetching of a plugin is, layer by layer, and what came of it. */
export function Job({ job, fresh }: JobProps) {
  const tone = job.state === "failed" ? "danger" : job.state === "done" ? "positive" : "busy";
  const problem = job.problem as { detail?: string } | null | undefined;
  const layers = job.state === "running" ? (job.layers ?? []) : [];
  return (
    <>
      <code className="font-mono text-[0.8125rem] break-all">{job.source}</code>
      <div className="flex flex-wrap items-center gap-x-3 gap-y-1">
        <Badge tone={tone}>
          {job.state === "running" && <Spinner />}
          {install.states[job.state]}
        </Badge>
        <RelativeTime at={job.startedAt} className="text-sm text-muted" />
      </div>
      {/* Said aloud: what changes now and then, not each step of each layer. */}
      <p className="text-sm break-words text-muted" role={fresh ? "status" : undefined}>
        {layers.length > 0
          ? install.layersHere(layers.filter(isHere).length, layers.length)
          : (problem?.detail ?? job.message)}
      </p>
      {layers.length > 0 && (
        <ul aria-label={install.layers} className="grid grid-cols-1 gap-2 text-xs">
          {layers.map((layer) => (
            <LayerRow key={layer.id} layer={layer} />
          ))}
        </ul>
      )}
      {job.state === "done" && job.pluginId && (
        <Link
          to="/manage/plugins/$pluginId"
          params={{ pluginId: job.pluginId }}
          className="w-fit rounded text-sm font-medium text-accent hover:underline"
        >
          {texts.plugins.manage(job.pluginId)}
        </Link>
      )}
    </>
  );
}

function LayerRow({ layer }: { layer: Layer }) {
  const share = layer.total ? (layer.current ?? 0) / layer.total : FETCHED.has(layer.status) ? 1 : 0;
  return (
    <li className="grid grid-cols-1 gap-1">
      <div className="flex gap-3 tabular-nums">
        <code className="shrink-0 font-mono text-muted">{layer.id}</code>
        <span className="min-w-0 flex-1 truncate">{layer.status}</span>
        {layer.total && <span>{`${bytes(layer.current ?? 0)} / ${bytes(layer.total)}`}</span>}
      </div>
      <ProgressBar label={install.layer(layer.id)} share={share} />
    </li>
  );
}
