import { useBlocker } from "@tanstack/react-router";
import { Button } from "./button";
import { Dialog } from "./dialog";

export interface LeaveGuardProps {
  /** Whether something would be lost right now. */
  when: boolean;
  title: string;
  /** What is lost by leaving. */
  lead: string;
  stay: string;
  leave: string;
}

/** Asks before a page is left on which something would be lost. */
export function LeaveGuard({ when, title, lead, stay, leave }: LeaveGuardProps) {
  const blocker = useBlocker({ shouldBlockFn: () => when, enableBeforeUnload: () => when, withResolver: true });
  if (blocker.status !== "blocked") return null;
  return (
    <Dialog title={title} onClose={blocker.reset}>
      <p className="text-pretty">{lead}</p>
      <div className="mt-5 flex flex-wrap justify-end gap-3">
        <Button onClick={blocker.reset}>{stay}</Button>
        <Button variant="danger" onClick={blocker.proceed}>
          {leave}
        </Button>
      </div>
    </Dialog>
  );
}
