import { useEffect, useRef } from "react";
import type { ListedPlugin, PluginState } from "@/api/plugins";
import { announce } from "@/components/announcer";
import { texts } from "@/texts";
import { isBusy, needsAttention } from "./state";

/** The sentence for a change that a person waits for; `null` for steps on the way. */
export function outcome(name: string, from: PluginState, to: PluginState): string | null {
  if (from === to) return null;
  if (to === "ready" && isBusy(from)) return texts.plugins.nowReady(name);
  if (to === "disabled") return texts.plugins.nowDisabled(name);
  if (needsAttention(to) && !needsAttention(from)) return texts.plugins.nowFailed(name);
  return null;
}

/** Speaks when a plugin has come up, gone off or failed, so that nobody has to watch a badge. */
export function useAnnouncedStates(plugins: readonly ListedPlugin[] | undefined): void {
  const before = useRef(new Map<string, PluginState>());
  useEffect(() => {
    if (!plugins) return;
    for (const plugin of plugins) {
      const from = before.current.get(plugin.id);
      const sentence = from && outcome(plugin.name, from, plugin.state);
      if (sentence) announce(sentence);
    }
    before.current = new Map(plugins.map((plugin) => [plugin.id, plugin.state]));
  }, [plugins]);
}
