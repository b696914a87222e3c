import type { ListedPlugin } from "@/api/plugins";
import { Switch } from "@/components/ui/switch";
import { texts } from "@/texts";
import { SwitchNeeds } from "./needs-dialog";
import type { useSetEnabled } from "./use-changes";

/** On or off, as a person wants it. Works in every state but invalid, also while the plugin is starting. */
export function EnableSwitch({ plugin, change }: { plugin: ListedPlugin; change: ReturnType<typeof useSetEnabled> }) {
  const stuck = plugin.state === "invalid" && !plugin.enabled;
  return (
    <>
      <Switch
        checked={plugin.enabled}
        disabled={stuck}
        title={stuck ? texts.plugins.cannotEnable : undefined}
        aria-label={texts.plugins.enable(plugin.name)}
        aria-busy={change.isPending}
        onCheckedChange={(enabled) => change.mutate({ enabled })}
      />
      <SwitchNeeds name={plugin.name} change={change} />
    </>
  );
}
