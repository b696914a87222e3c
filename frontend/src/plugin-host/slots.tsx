import { useQuery } from "@tanstack/react-query";
import { type UiManifest, uiManifestsQuery } from "@/api/plugins";
import type { User } from "@/api/session";
import { PluginSlot } from "./plugin-slot";

/** The places in the dashboard's own pages that plugins may fill, and what each is about. */
export type SlotTarget = "home/widget/v1" | "media-detail/tab/v1" | "settings/section/v1";

export interface SlotFill {
  manifest: UiManifest;
  exportName: string;
  target: SlotTarget;
  /** Unlike any other on the page. */
  key: string;
}

/** What running plugins put into a place, by name. */
export function fillsOf(manifests: readonly UiManifest[], target: SlotTarget): SlotFill[] {
  return manifests
    .flatMap((manifest) =>
      (manifest.slots ?? [])
        .filter((slot) => slot.target === target)
        .map((slot) => ({ manifest, target, exportName: slot.export, key: `${manifest.pluginId} ${slot.export}` })),
    )
    .sort((a, b) => a.manifest.name.localeCompare(b.manifest.name, "en") || a.key.localeCompare(b.key, "en"));
}

export function useSlotFills(target: SlotTarget): SlotFill[] {
  const { data } = useQuery(uiManifestsQuery);
  return fillsOf(data ?? [], target);
}

export interface FilledSlotProps {
  fill: SlotFill;
  user: User;
  context?: Readonly<Record<string, unknown>>;
}

/** One plugin's part of a place. */
export function FilledSlot({ fill, user, context }: FilledSlotProps) {
  const { manifest, exportName, target } = fill;
  return (
    <PluginSlot
      manifest={manifest}
      name={manifest.name}
      user={user}
      wanted={{ kind: "slots", exportName, at: target }}
      {...(context && { context })}
    />
  );
}
