import type { LiveStatus } from "@/live/connection";
import { useLiveStatus } from "@/live/use-live";
import { texts } from "@/texts";
import { cn } from "../cn";

const DOTS: Record<LiveStatus, string> = {
  connecting: "bg-border-strong animate-breathe",
  live: "bg-positive",
  "catching-up": "bg-accent animate-breathe",
  offline: "bg-danger",
};

/** Whether what is shown is live. Loss and return are also spoken, by the live provider. */
export function LiveIndicator({ className }: { className?: string }) {
  const status = useLiveStatus();
  return (
    <p className={cn("flex items-center gap-2 px-3 py-1 text-[0.8125rem] text-muted", className)}>
      <span aria-hidden="true" className={cn("size-2 shrink-0 rounded-full", DOTS[status])} />
      {texts.live[status]}
    </p>
  );
}
