import type { EventRecord } from "@/api/events";
import type { PluginState } from "@/api/plugins";
import { texts } from "@/texts";

const { said } = texts.events;
const CORE = "/nimbus";
const TYPE = /^io\.nimbus\.(plugin|media|download|user)\.([a-z-]+)\.v\d+$/;

/** An event of Nimbus itself in words; `null` for what plugins publish, and for what this dashboard does not know. */
export function inWords(
  event: Pick<EventRecord, "type" | "source" | "data">,
  nameOf: (pluginId: string) => string,
): string | null {
  const [, domain, what] = TYPE.exec(event.type) ?? [];
  if (event.source !== CORE || !what || typeof event.data !== "object" || event.data === null) return null;
  const data = event.data as Record<string, unknown>;
  switch (domain) {
    case "plugin": {
      const state = texts.states[data.toState as PluginState];
      return state && typeof data.pluginId === "string" ? said.plugin(nameOf(data.pluginId), state) : null;
    }
    case "media":
      return about(said.media[what], data.title);
    case "download":
      return about(said.download[what], data.title);
    case "user":
      return about(said.user[what], data.username);
    default:
      return null;
  }
}

function about(words: ((name: string) => string) | undefined, name: unknown): string | null {
  return words && typeof name === "string" ? words(name) : null;
}
