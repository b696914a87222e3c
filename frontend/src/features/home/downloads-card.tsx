import { useInfiniteQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { queueQuery } from "@/api/downloads";
import { Card } from "@/components/ui/card";
import { Heading } from "@/components/ui/heading";
import { DownloadBar, DownloadFigures } from "@/features/downloads/progress";
import { usePolling } from "@/live/use-live";
import { texts } from "@/texts";

const { home, downloads } = texts;
const MOST = 4;

/** What is being fetched now; only there while something is. */
export function DownloadsCard() {
  const polling = usePolling();
  const { data: items = [] } = useInfiniteQuery({ ...queueQuery, refetchInterval: polling });
  if (items.length === 0) return null;
  return (
    <Card aria-labelledby="downloads-heading">
      <div className="flex items-center justify-between gap-3">
        <Heading id="downloads-heading">{home.downloads}</Heading>
        <Link to="/downloads" className="rounded text-sm font-medium text-accent hover:underline">
          {home.everything}
        </Link>
      </div>
      <ul className="mt-3 grid gap-4">
        {items.slice(0, MOST).map((item) => (
          <li key={item.id} className="grid grid-cols-1 gap-1.5">
            <span className="flex flex-wrap justify-between gap-x-3">
              <span className="min-w-0 truncate font-medium">{item.title}</span>
              <span className="text-sm text-muted">{downloads.states[item.state]}</span>
            </span>
            <DownloadBar item={item} />
            <p className="flex flex-wrap gap-x-3 text-sm text-muted tabular-nums">
              <DownloadFigures item={item} />
            </p>
          </li>
        ))}
      </ul>
      {items.length > MOST && <p className="mt-3 text-sm text-muted">{home.moreDownloads(items.length - MOST)}</p>}
    </Card>
  );
}
