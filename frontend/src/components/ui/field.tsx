import type { ComponentProps, ReactNode } from "react";
import { cn } from "../cn";
import { FieldFrame, inputClasses, type Notes } from "./field-frame";

export interface FieldProps extends Omit<ComponentProps<"input">, "id">, Notes {
  label: string;
  /** Sits at the end inside the input's box, e.g. a button that shows a password. */
  trailing?: ReactNode;
}

/** An input with its label, help and error. */
export const Field = ({ label, help, error, trailing, className, ...props }: FieldProps) => (
  <FieldFrame label={label} help={help} error={error} className={className}>
    {(described) => (
      <div className="relative">
        <input {...described} className={cn(inputClasses, trailing && "pr-11")} {...props} />
        {trailing && <div className="absolute inset-y-0 right-1 grid place-items-center">{trailing}</div>}
      </div>
    )}
  </FieldFrame>
);
