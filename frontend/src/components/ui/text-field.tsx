import type { ComponentProps } from "react";
import { codeClasses, FieldFrame, type Notes } from "./field-frame";

export interface TextFieldProps extends Omit<ComponentProps<"textarea">, "id">, Notes {
  label: string;
}

/** Several lines of text that a machine reads, with their label, help and error. */
export const TextField = ({ label, help, error, className, ...props }: TextFieldProps) => (
  <FieldFrame label={label} help={help} error={error} className={className}>
    {(described) => <textarea {...described} className={codeClasses} spellCheck={false} {...props} />}
  </FieldFrame>
);
