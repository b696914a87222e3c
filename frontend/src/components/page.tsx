import type { ReactNode } from "react";
import { useDocumentTitle } from "./route-focus";
import { Heading } from "./ui/heading";

export interface PageHeaderProps {
  title: string;
  lead?: ReactNode;
  /** Buttons at its end. */
  actions?: ReactNode;
  /** Stands before the title, e.g. the plugin's icon. */
  mark?: ReactNode;
}

/** Title of a page. Takes the focus after a navigation and names the browser's tab. */
export function PageHeader({ title, lead, actions, mark }: PageHeaderProps) {
  useDocumentTitle(title);
  return (
    <header className="mb-6 flex flex-wrap items-start justify-between gap-x-6 gap-y-4 md:flex-nowrap">
      <div className="flex min-w-0 items-start gap-4">
        {mark}
        <div className="min-w-0">
          <Heading level={1} tabIndex={-1} data-route-focus className="break-words">
            {title}
          </Heading>
          {lead && <div className="mt-1 text-pretty text-muted">{lead}</div>}
        </div>
      </div>
      {actions && <div className="flex shrink-0 flex-wrap items-center gap-3">{actions}</div>}
    </header>
  );
}
