import { CircleAlert, CircleCheck, CircleDashed, CircleMinus, TriangleAlert } from "lucide-react";
import type { PluginState } from "@/api/plugins";
import { Badge } from "@/components/ui/badge";
import { Spinner } from "@/components/ui/spinner";
import { texts } from "@/texts";
import { type Tone, toneOf } from "./state";

const ICONS: Record<Exclude<Tone, "busy">, typeof CircleAlert> = {
  neutral: CircleMinus,
  positive: CircleCheck,
  warning: TriangleAlert,
  danger: CircleAlert,
};

/** The state as a word, a colour and a shape. In a `past` one nothing turns. */
export function StateBadge({ state, past }: { state: PluginState; past?: boolean }) {
  const tone = toneOf(state);
  const Icon = tone !== "busy" ? ICONS[tone] : past ? CircleDashed : null;
  return (
    <Badge tone={tone} title={texts.stateHelp[state]}>
      {Icon ? <Icon aria-hidden="true" /> : <Spinner />}
      {texts.states[state] ?? state}
    </Badge>
  );
}
