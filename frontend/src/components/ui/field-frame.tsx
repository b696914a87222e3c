import { type ReactNode, useId } from "react";
import { cn } from "../cn";

export const inputClasses =
  "h-10 w-full rounded-lg border border-border-strong bg-surface px-3 text-text placeholder:text-muted disabled:opacity-60 aria-invalid:border-danger";
/** For text of several lines that a machine reads. */
export const codeClasses = cn(inputClasses, "h-auto py-2 font-mono text-[0.8125rem]");

export interface Notes {
  help?: string | undefined;
  /** What is wrong with the value; tied to the input for screen readers. */
  error?: string | undefined;
}

/** What an input has to carry so that it belongs to its label, help and error. */
export interface Described {
  id: string;
  "aria-invalid": true | undefined;
  "aria-describedby": string | undefined;
}

export function useDescribed({ help, error }: Notes): Described {
  const id = useId();
  const described = [help && `${id}-help`, error && `${id}-error`].filter(Boolean).join(" ");
  return { id, "aria-invalid": error ? true : undefined, "aria-describedby": described || undefined };
}

/** The lines below an input: what it is for, and what is wrong with its value. */
export const FieldNotes = ({ id, help, error, className }: Notes & { id: string; className?: string }) => (
  <>
    {help && (
      <p id={`${id}-help`} className={cn("text-sm text-muted", className)}>
        {help}
      </p>
    )}
    {error && (
      <p id={`${id}-error`} className={cn("text-sm text-danger", className)}>
        {error}
      </p>
    )}
  </>
);

export interface FieldFrameProps extends Notes {
  label: string;
  /** Its label is for screen readers only, because what stands round it says the same. */
  bare?: boolean | undefined;
  className?: string | undefined;
  children: (described: Described) => ReactNode;
}

/** An input of any kind with its label above it, and help and error below. */
export function FieldFrame({ label, help, error, bare, className, children }: FieldFrameProps) {
  const described = useDescribed({ help, error });
  return (
    <div className={cn("grid gap-1.5", className)}>
      <label htmlFor={described.id} className={bare ? "sr-only" : "text-sm font-medium"}>
        {label}
      </label>
      {children(described)}
      <FieldNotes id={described.id} help={help} error={error} />
    </div>
  );
}
