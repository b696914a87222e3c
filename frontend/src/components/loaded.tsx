import { Unplug } from "lucide-react";
import type { ReactNode } from "react";
import { messageOf } from "@/api/problem";
import { texts } from "@/texts";
import { Button } from "./ui/button";
import { EmptyState } from "./ui/empty-state";
import { Skeleton } from "./ui/skeleton";

export interface LoadedProps<Data> {
  query: { data: Data | undefined; error: Error | null; isFetching: boolean; refetch: () => unknown };
  /** What could not be loaded, in words, when that is so. */
  failed: string;
  children: (data: Data) => ReactNode;
  /** Stands there while it loads. */
  skeleton?: ReactNode;
}

/** What was read; before that its outline, and on failure what went wrong with a way to try again. */
export function Loaded<Data>({ query, failed, children, skeleton }: LoadedProps<Data>) {
  if (query.data !== undefined) return children(query.data);
  if (query.error) {
    return (
      <EmptyState
        icon={Unplug}
        title={failed}
        actions={
          <Button variant="primary" busy={query.isFetching} onClick={() => void query.refetch()}>
            {texts.common.retry}
          </Button>
        }
      >
        <p>{messageOf(query.error)}</p>
      </EmptyState>
    );
  }
  return (
    <div role="status" className="grid gap-3">
      <span className="sr-only">{texts.common.loading}</span>
      {skeleton ?? [0, 1, 2, 3].map((key) => <Skeleton key={key} className="h-14 rounded-lg" />)}
    </div>
  );
}
