import { useState } from "react";
import type { EventRecord } from "@/api/events";
import { texts } from "@/texts";

/** What an event tells, folded away until somebody wants it. */
export function EventData({ event }: { event: Pick<EventRecord, "data" | "subject"> }) {
  // A hundred rows of it would be written out for nobody.
  const [open, setOpen] = useState(false);
  if (event.data === undefined || event.data === null) return null;
  return (
    <details className="text-muted" onToggle={(toggled) => setOpen(toggled.currentTarget.open)}>
      <summary className="w-fit cursor-pointer rounded text-[0.8125rem]">{texts.events.data}</summary>
      {open && (
        <pre className="mt-1 max-w-md whitespace-pre-wrap wrap-anywhere rounded-lg bg-sunken p-2 font-mono text-xs">
          {JSON.stringify(event.data, null, 2)}
        </pre>
      )}
    </details>
  );
}
