import type { ComponentProps } from "react";
import { cn } from "../cn";
import { FieldNotes, type Notes, useDescribed } from "./field-frame";

export interface CheckFieldProps extends Omit<ComponentProps<"input">, "id" | "type">, Notes {
  label: string;
}

/** A box to tick, with its label, help and error. */
export function CheckField({ label, help, error, className, ...props }: CheckFieldProps) {
  const described = useDescribed({ help, error });
  return (
    <div className={cn("grid grid-cols-[auto_minmax(0,1fr)] gap-x-3", className)}>
      <input {...described} type="checkbox" className="mt-0.5 size-5 accent-(--nimbus-accent)" {...props} />
      <label htmlFor={described.id} className="text-sm leading-6 font-medium">
        {label}
      </label>
      <FieldNotes id={described.id} help={help} error={error} className="col-start-2" />
    </div>
  );
}
