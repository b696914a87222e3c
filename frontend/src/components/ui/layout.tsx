import type { ComponentProps, ReactNode } from "react";
import { cn } from "../cn";
import { Heading } from "./heading";

export interface PageProps {
  title: string;
  lead?: ReactNode;
  /** Buttons beside the title. */
  actions?: ReactNode;
  children?: ReactNode;
}

/** A page with its heading, for plugins. */
export function Page({ title, lead, actions, children }: PageProps) {
  return (
    <div className="grid grid-cols-1 gap-6">
      <header className="flex flex-wrap items-start justify-between gap-x-6 gap-y-4">
        <div className="min-w-0">
          <Heading level={1}>{title}</Heading>
          {lead && <div className="mt-1 text-pretty text-muted">{lead}</div>}
        </div>
        {actions && <div className="flex flex-wrap items-center gap-3">{actions}</div>}
      </header>
      {children}
    </div>
  );
}

/** Children below each other, as wide as what they need to be. */
export const Stack = ({ className, ...props }: ComponentProps<"div">) => (
  <div className={cn("flex flex-col items-start gap-3 *:max-w-full", className)} {...props} />
);

/** Children beside each other where there is room, else below each other. */
export const Columns = ({ className, ...props }: ComponentProps<"div">) => (
  <div className={cn("grid grid-cols-1 items-start gap-5 md:grid-cols-2", className)} {...props} />
);

export interface TextProps extends ComponentProps<"p"> {
  muted?: boolean;
}

export const Text = ({ muted, className, ...props }: TextProps) => (
  <p className={cn("text-pretty", muted && "text-muted", className)} {...props} />
);
