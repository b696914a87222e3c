import type { ComponentProps } from "react";
import { FieldFrame, inputClasses, type Notes } from "./field-frame";

export interface SelectFieldProps extends Omit<ComponentProps<"select">, "id">, Notes {
  label: string;
  options: readonly { value: string; label: string }[];
  /** Its label is for screen readers only, because what stands round it says the same. */
  bare?: boolean;
}

/** A choice of a few, with its label, help and error. */
export const SelectField = ({ label, options, help, error, bare, className, ...props }: SelectFieldProps) => (
  <FieldFrame label={label} help={help} error={error} bare={bare} className={className}>
    {(described) => (
      <select {...described} className={inputClasses} {...props}>
        {options.map((option) => (
          <option key={option.value} value={option.value}>
            {option.label}
          </option>
        ))}
      </select>
    )}
  </FieldFrame>
);
