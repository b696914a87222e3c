import { type Download, hasEnded } from "@/api/downloads";
import { bytes } from "@/components/bytes";
import { ProgressBar } from "@/components/ui/progress-bar";
import { texts } from "@/texts";
import { remaining } from "./remaining";

const { downloads } = texts;

/** How far a download is, as a bar. */
export const DownloadBar = ({ item }: { item: Download }) => (
  <ProgressBar
    label={downloads.progressOf(item.title)}
    share={item.totalBytes ? item.doneBytes / item.totalBytes : null}
  />
);

/** How much of a download is there, how fast it comes and how long that takes. */
export function DownloadFigures({ item }: { item: Download }) {
  const ended = hasEnded(item);
  return (
    <>
      <span>{item.totalBytes ? `${bytes(item.doneBytes)} / ${bytes(item.totalBytes)}` : bytes(item.doneBytes)}</span>
      {!ended && item.speed ? <span>{texts.usage.perSecond(bytes(item.speed))}</span> : null}
      {!ended && item.etaSeconds ? <span>{remaining(item.etaSeconds)}</span> : null}
    </>
  );
}
