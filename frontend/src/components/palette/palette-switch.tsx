import { useEffect, useRef } from "react";
import type { ListedPlugin, Others } from "@/api/plugins";
import { messageOf } from "@/api/problem";
import { needsOf } from "@/features/plugins/needs";
import { NeedsDialog } from "@/features/plugins/needs-dialog";
import { useSetEnabled } from "@/features/plugins/use-changes";
import { texts } from "@/texts";
import { notify } from "../toasts";

export interface PaletteSwitchProps {
  plugin: ListedPlugin;
  enabled: boolean;
  /** When there is nothing left to ask. */
  onEnd: () => void;
}

/** Switches a plugin as the palette was told to: says what came of it, and asks where others stand in the way. */
export default function PaletteSwitch({ plugin, enabled, onEnd }: PaletteSwitchProps) {
  const change = useSetEnabled(plugin.id);
  const begun = useRef(false);
  const ask = (others?: Others) =>
    change.mutate(
      { enabled, ...(others && { others }) },
      {
        onSuccess: () => {
          notify(texts.palette[enabled ? "enabling" : "disabling"](plugin.name));
          onEnd();
        },
        onError: (error) => {
          if (needsOf(error) !== null) return;
          notify(messageOf(error));
          onEnd();
        },
      },
    );
  useEffect(() => {
    if (begun.current) return;
    begun.current = true;
    ask();
  });
  return <NeedsDialog names={[plugin.name]} needs={change.needs} onDecide={ask} onClose={onEnd} />;
}
