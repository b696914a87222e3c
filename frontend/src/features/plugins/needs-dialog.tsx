import { Link } from "@tanstack/react-router";
import type { ReactNode } from "react";
import type { Others } from "@/api/plugins";
import { Button } from "@/components/ui/button";
import { Dialog } from "@/components/ui/dialog";
import { texts } from "@/texts";
import type { Needs } from "./needs";
import { Dependencies, Dependents } from "./needs-list";
import type { useSetEnabled } from "./use-changes";

const { dependencies: words } = texts;

export interface NeedsDialogProps {
  /** The plugins that were to be changed. */
  names: readonly string[];
  needs: Needs | null;
  /** What was to become of them. */
  wish?: "switch" | "uninstall" | "upgrade";
  onDecide: (others: Others) => void;
  onClose: () => void;
}

/** Asks what is to become of other plugins when a change was refused because of them; shows nothing without needs. */
export function NeedsDialog({ needs, ...rest }: NeedsDialogProps) {
  if (needs === null) return null;
  return needs.kind === "unmet" ? <Unmet needs={needs} {...rest} /> : <Needed needs={needs} {...rest} />;
}

/** The same for a switch: what is decided is asked of Nimbus again. */
export const SwitchNeeds = ({ name, change }: { name: string; change: ReturnType<typeof useSetEnabled> }) => (
  <NeedsDialog
    names={[name]}
    needs={change.needs}
    onDecide={(others) => change.mutate({ enabled: change.needs?.kind === "unmet", others })}
    onClose={change.reset}
  />
);

type Part<Kind extends Needs["kind"]> = Omit<NeedsDialogProps, "needs"> & { needs: Extract<Needs, { kind: Kind }> };

function Unmet({ names, needs, wish = "switch", onDecide, onClose }: Part<"unmet">) {
  const { dependencies } = needs;
  const canEnable = needs.canEnable && wish === "switch";
  return (
    <Dialog title={words.unmetTitle(names)} onClose={onClose}>
      <div className="grid grid-cols-1 gap-4">
        <p className="text-pretty">{wish === "upgrade" ? words.unmetVersion : words.unmetLead(names)}</p>
        <Dependencies items={dependencies} />
        {canEnable && <p className="text-pretty text-muted">{words.canEnable}</p>}
        <Choices>
          <Button onClick={onClose}>{canEnable ? texts.confirm.cancel : texts.common.close}</Button>
          {canEnable && (
            <Button variant="primary" onClick={() => onDecide("too")}>
              {words.enableToo}
            </Button>
          )}
          {dependencies.some(({ problem }) => problem === "missing" || problem === "version") && (
            <Button variant="primary" asChild>
              <Link to="/install">{words.install}</Link>
            </Button>
          )}
        </Choices>
      </div>
    </Dialog>
  );
}

function Needed({ names, needs, wish = "switch", onDecide, onClose }: Part<"needed">) {
  const { lead, choices, only, too } = words.needed[wish];
  return (
    <Dialog title={words.neededTitle(names)} onClose={onClose}>
      <div className="grid grid-cols-1 gap-4">
        <p className="text-pretty">{lead(names)}</p>
        <Dependents items={needs.dependents} />
        <p className="text-pretty text-muted">{choices(names)}</p>
        <Choices>
          <Button onClick={onClose}>{texts.confirm.cancel}</Button>
          <Button
            variant="danger"
            className="h-auto min-h-10 max-w-full whitespace-normal py-1.5"
            onClick={() => onDecide("regardless")}
          >
            {only(names)}
          </Button>
          {too !== null && (
            <Button variant="danger" onClick={() => onDecide("too")}>
              {too}
            </Button>
          )}
        </Choices>
      </div>
    </Dialog>
  );
}

const Choices = ({ children }: { children: ReactNode }) => (
  <div className="flex flex-wrap justify-end gap-3">{children}</div>
);
