import { X } from "lucide-react";
import { type ReactNode, useEffect, useId, useRef } from "react";
import { texts } from "@/texts";
import { cn } from "../cn";
import { Button } from "./button";
import { Heading } from "./heading";

export interface DialogProps {
  title: string;
  /** Rendered only while it is open, so what is typed into it starts afresh each time. */
  children: ReactNode;
  onClose: () => void;
  className?: string;
}

/** What one types into; a box to tick is no place to begin. */
const FIELDS = "textarea, input:not([type=checkbox], [type=radio], [type=file], [type=hidden])";

/**
 * A modal dialog: the browser keeps the focus in it, and one begins in the field that is to be filled. Afterwards it is
 * where it was before, also when the dialog is taken away without being closed, as after what it asked about is done; at
 * the page's title when what opened it is gone.
 */
export function Dialog({ title, children, onClose, className }: DialogProps) {
  const dialog = useRef<HTMLDialogElement>(null);
  const id = useId();
  useEffect(() => {
    const opener = document.activeElement;
    dialog.current?.showModal();
    dialog.current?.querySelector<HTMLElement>(FIELDS)?.focus();
    return () => giveBack(opener);
  }, []);
  return (
    <dialog
      ref={dialog}
      aria-labelledby={id}
      onClose={onClose}
      onKeyDown={(event) => event.key === "Escape" && event.target === dialog.current && dialog.current.close()}
      className={cn(
        "m-auto max-h-[calc(100dvh-2rem)] w-[32rem] max-w-[calc(100vw-2rem)] animate-rise overflow-y-auto rounded-card border bg-surface p-5 text-text shadow-lg sm:p-6",
        className,
      )}
    >
      <div className="mb-4 flex items-start justify-between gap-4">
        <Heading id={id}>{title}</Heading>
        <Button
          variant="ghost"
          size="icon-small"
          aria-label={texts.common.close}
          className="-mt-1 -mr-1"
          onClick={() => dialog.current?.close()}
        >
          <X aria-hidden="true" />
        </Button>
      </div>
      {children}
    </dialog>
  );
}

function giveBack(opener: Element | null): void {
  const isLost = () => document.activeElement === null || document.activeElement === document.body;
  if (isLost() && opener instanceof HTMLElement) opener.focus();
  if (isLost()) document.querySelector<HTMLElement>("main [data-route-focus]")?.focus({ preventScroll: true });
}
