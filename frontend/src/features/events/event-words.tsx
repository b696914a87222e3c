import { useQuery } from "@tanstack/react-query";
import type { EventRecord } from "@/api/events";
import { pluginsQuery } from "@/api/plugins";
import { texts } from "@/texts";
import { inWords } from "./said";

/** Who says an event: Nimbus, or a plugin by its name. */
export function SourceName({ source }: { source: string }) {
  const { data: plugins = [] } = useQuery(pluginsQuery(true));
  const id = source.startsWith("/plugins/") ? source.slice("/plugins/".length) : null;
  return source === "/nimbus" ? texts.app.name : (plugins.find((plugin) => plugin.id === id)?.name ?? id ?? source);
}

/** What an event says: in words where this dashboard has them, else its type and what it is about. */
export function EventWords({ event, withType = false }: { event: EventRecord; withType?: boolean }) {
  const { data: plugins = [] } = useQuery(pluginsQuery(true));
  const words = inWords(event, (id) => plugins.find((plugin) => plugin.id === id)?.name ?? id);
  const type = <code className="font-mono text-[0.8125rem] break-words">{event.type}</code>;
  if (words === null) {
    return (
      <>
        {type} <span className="text-muted break-words">{event.subject}</span>
      </>
    );
  }
  return (
    <>
      <span className="break-words">{words}</span>
      {withType && <span className="block text-muted">{type}</span>}
    </>
  );
}
