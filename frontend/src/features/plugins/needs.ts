import type { PluginDependency, PluginDependent } from "@/api/plugins";
import { ApiProblem, type Problem } from "@/api/problem";

/** Why a switch waits for a person's decision: what a plugin needs is not there, or others need it. */
export type Needs =
  | { kind: "unmet"; dependencies: readonly PluginDependency[]; canEnable: boolean }
  | { kind: "needed"; dependents: readonly PluginDependent[] };

/** What such problems hold beside the members of every problem. */
type Extra = Problem & {
  dependencies?: PluginDependency[];
  canEnable?: boolean;
  dependents?: PluginDependent[];
};

/** What there is to decide about a refusal; `null` where it is any other. */
export function needsOf(error: unknown): Needs | null {
  if (!(error instanceof ApiProblem) || !error.problem) return null;
  const { type, dependencies, canEnable, dependents }: Extra = error.problem;
  if (type === "/problems/dependencies-unmet" && dependencies?.length) {
    return { kind: "unmet", dependencies, canEnable: canEnable === true };
  }
  if (type === "/problems/plugin-needed" && dependents?.length) return { kind: "needed", dependents };
  return null;
}
