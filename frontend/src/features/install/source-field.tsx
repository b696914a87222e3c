import { Field } from "@/components/ui/field";
import { TextField } from "@/components/ui/text-field";
import { texts } from "@/texts";

const { install } = texts;

/** Where a version of a plugin can come from; a folder only where it is new. */
export type Source = "image" | "path" | "manifest";

/** What was written as the API takes it; `null` when it should be JSON and is not. */
export function sourceBody<Kind extends Source>(
  source: Kind,
  text: string,
): { [Key in Kind]?: Key extends "manifest" ? Record<string, unknown> : string } | null {
  type Body = { [Key in Kind]?: Key extends "manifest" ? Record<string, unknown> : string };
  if (source !== "manifest") return { [source]: text.trim() } as Body;
  try {
    return { manifest: JSON.parse(text) } as Body;
  } catch {
    return null;
  }
}

/** The input for the one that is chosen, named `source`. */
export const SourceField = ({
  source,
  error,
  className,
}: {
  source: Source;
  error?: string | undefined;
  className?: string;
}) => {
  const { label, help, example } = install.sources[source];
  return source === "manifest" ? (
    <TextField label={label} help={help} error={error} name="source" rows={10} required className={className} />
  ) : (
    <Field
      label={label}
      help={help}
      error={error}
      name="source"
      placeholder={example}
      autoComplete="off"
      autoCapitalize="none"
      spellCheck={false}
      required
      className={className}
    />
  );
};
