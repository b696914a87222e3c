import { CircleAlert, Info, TriangleAlert } from "lucide-react";
import type { ReactNode } from "react";
import { cn } from "../cn";

type Level = "info" | "warning" | "error";

const LOOKS = {
  info: { icon: Info, classes: "bg-accent-soft", mark: "text-accent" },
  warning: { icon: TriangleAlert, classes: "bg-warning-soft", mark: "text-warning" },
  error: { icon: CircleAlert, classes: "bg-danger-soft", mark: "text-danger" },
} as const satisfies Record<Level, unknown>;

export interface AlertProps {
  level?: Level;
  title?: string;
  children?: ReactNode;
  /** Buttons at its end. */
  actions?: ReactNode;
  /** It appears in answer to what a person did, so it is read out at once. */
  urgent?: boolean;
  className?: string;
}

export function Alert({ level = "info", title, children, actions, urgent, className }: AlertProps) {
  const { icon: Icon, classes, mark } = LOOKS[level];
  return (
    <div
      role={urgent ? "alert" : undefined}
      className={cn("flex gap-3 rounded-lg px-4 py-3 text-sm", classes, className)}
    >
      <Icon aria-hidden="true" className={cn("mt-0.5 size-[1.125rem] shrink-0", mark)} />
      <div className="min-w-0 flex-1 break-words">
        {title && <p className="font-semibold">{title}</p>}
        {children}
      </div>
      {actions && <div className="-my-1 flex shrink-0 items-center gap-2">{actions}</div>}
    </div>
  );
}
