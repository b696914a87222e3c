import type { ReactNode } from "react";
import type { SignedInSession } from "@/api/access";
import { RelativeTime } from "@/components/relative-time";
import { Badge } from "@/components/ui/badge";
import { texts } from "@/texts";
import { deviceOf } from "./device";

const { sessions } = texts;

export interface SessionListProps {
  label: string;
  items: readonly SignedInSession[];
  /** What can be done with one of them. */
  action?: (session: SignedInSession, device: string) => ReactNode;
}

/** The browsers that somebody is signed in with. */
export function SessionList({ label, items, action }: SessionListProps) {
  if (items.length === 0) return <p className="text-muted">{sessions.none}</p>;
  return (
    <ul aria-label={label} className="grid gap-4">
      {items.map((session) => {
        const device = deviceOf(session.userAgent);
        return (
          <li key={session.id} className="flex flex-wrap items-center justify-between gap-x-4 gap-y-2">
            <div className="min-w-0 flex-1 basis-56">
              <p className="flex flex-wrap items-center gap-2">
                <span className="font-medium break-words" title={session.userAgent}>
                  {device}
                </span>
                {session.current && <Badge tone="accent">{sessions.here}</Badge>}
              </p>
              <p className="flex flex-wrap gap-x-3 text-sm text-muted">
                <span className="break-all">{sessions.from(session.address)}</span>
                <span>
                  {sessions.signedIn} <RelativeTime at={session.createdAt} />
                </span>
                <span>
                  {sessions.used} <RelativeTime at={session.lastSeenAt} />
                </span>
              </p>
            </div>
            {action?.(session, device)}
          </li>
        );
      })}
    </ul>
  );
}
