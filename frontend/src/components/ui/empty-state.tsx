import type { LucideIcon } from "lucide-react";
import type { ReactNode } from "react";
import { Heading } from "./heading";

export interface EmptyStateProps {
  icon: LucideIcon;
  title: string;
  children?: ReactNode;
  actions?: ReactNode;
  /** Where it is the page's only heading. */
  level?: 1 | 2;
}

/** What stands where a list or a page would be: what is so, and what to do next. */
export function EmptyState({ icon: Icon, title, children, actions, level = 2 }: EmptyStateProps) {
  return (
    <div className="mx-auto grid max-w-lg animate-rise justify-items-center gap-4 px-4 py-14 text-center sm:py-20">
      <span className="grid size-14 place-items-center rounded-2xl bg-accent-soft text-accent">
        <Icon aria-hidden="true" className="size-7" strokeWidth={1.6} />
      </span>
      <Heading level={level} className="text-xl" {...(level === 1 && { tabIndex: -1, "data-route-focus": true })}>
        {title}
      </Heading>
      {children && <div className="grid gap-2 text-pretty text-muted">{children}</div>}
      {actions && <div className="mt-2 flex flex-wrap justify-center gap-3">{actions}</div>}
    </div>
  );
}
