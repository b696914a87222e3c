import { Plus, Trash2 } from "lucide-react";
import { useEffect, useId, useRef, useState } from "react";
import { Button } from "@/components/ui/button";
import { CheckField } from "@/components/ui/check-field";
import { Field } from "@/components/ui/field";
import { FieldNotes } from "@/components/ui/field-frame";
import { SelectField } from "@/components/ui/select-field";
import { TextField } from "@/components/ui/text-field";
import { PasswordField } from "@/features/auth/password-field";
import { texts } from "@/texts";
import { SettingsAction } from "./action";
import { asSchema, blank, kindOf, labelOf, pointer, type Schema } from "./schema";

export interface PartProps {
  schema: Schema;
  label: string;
  /** Where it is in the document, as the server names it in errors. */
  path: string;
  value: unknown;
  onChange: (value: unknown) => void;
  required: boolean;
  /** What the server says of each place. */
  errors: ReadonlyMap<string, string>;
}

const { settings } = texts;

function helpOf(schema: Schema): string | undefined {
  const parts = [schema.description];
  if (schema.default !== undefined && schema.default !== "" && typeof schema.default !== "object")
    parts.push(settings.standard(String(schema.default)));
  const found = parts.filter(Boolean).join(" ");
  return found || undefined;
}

/** A field for one place of the settings. An empty field is a setting that is not set. */
export function Part(props: PartProps) {
  const { schema, label, path, value, onChange, required, errors } = props;
  const error = errors.get(path);
  const help = helpOf(schema);
  const name = required ? label : settings.optional(label);
  switch (kindOf(schema)) {
    case "boolean":
      return (
        <CheckField
          label={label}
          help={help}
          error={error}
          checked={value === undefined ? schema.default === true : value === true}
          onChange={(event) => onChange(event.target.checked)}
        />
      );
    case "number":
    case "integer":
      return <NumberPart {...props} />;
    case "choice": {
      const choices = schema.enum ?? [];
      const chosen = value === undefined ? "" : String(choices.indexOf(value));
      return (
        <SelectField
          label={name}
          help={help}
          error={error}
          value={chosen}
          onChange={(event) => onChange(event.target.value === "" ? undefined : choices[Number(event.target.value)])}
          options={[
            ...(required && value !== undefined ? [] : [{ value: "", label: settings.notSet }]),
            ...choices.map((choice, index) => ({ value: String(index), label: String(choice) })),
          ]}
        />
      );
    }
    case "secret":
      return (
        <PasswordField
          label={name}
          error={error}
          autoComplete="off"
          {...(help && { help })}
          value={typeof value === "string" ? value : ""}
          onChange={(event) => onChange(event.target.value || undefined)}
        />
      );
    case "text":
      return (
        <Field
          label={name}
          help={help}
          error={error}
          type={schema.format === "uri" ? "url" : schema.format === "email" ? "email" : "text"}
          placeholder={typeof schema.default === "string" ? schema.default : undefined}
          value={typeof value === "string" ? value : ""}
          onChange={(event) => onChange(event.target.value === "" ? undefined : event.target.value)}
          autoComplete="off"
        />
      );
    case "list":
      return <ListPart {...props} />;
    case "group":
      return <GroupPart {...props} />;
    case "json":
      return <JsonPart {...props} />;
  }
}

/** What is typed is kept as it is, so that a minus or a comma on its way to a number is not lost. */
function NumberPart({ schema, label, path, value, onChange, required, errors }: PartProps) {
  const [text, setText] = useState(value === undefined ? "" : String(value));
  const number = Number(text);
  const shown = text !== "" && number !== value && value !== undefined ? String(value) : text;
  return (
    <Field
      label={required ? label : settings.optional(label)}
      help={helpOf(schema)}
      error={errors.get(path)}
      type="number"
      inputMode="decimal"
      step={schema.type === "integer" ? 1 : "any"}
      min={schema.minimum}
      max={schema.maximum}
      placeholder={schema.default === undefined ? undefined : String(schema.default)}
      value={shown}
      onChange={(event) => {
        setText(event.target.value);
        const typed = event.target.value === "" ? undefined : event.target.valueAsNumber;
        onChange(Number.isNaN(typed) ? undefined : typed);
      }}
    />
  );
}

function GroupPart({ schema, label, path, value, onChange, errors }: PartProps) {
  const held = typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
  const error = errors.get(path);
  return (
    <fieldset className="grid gap-4 rounded-lg border p-3 sm:p-4">
      <legend className="-ml-1 px-1 text-sm font-semibold">{label}</legend>
      {schema.description && <p className="-mt-2 text-sm text-muted">{schema.description}</p>}
      {error && <p className="text-sm text-danger">{error}</p>}
      {Object.entries(schema.properties ?? {}).map(([name, part]) => (
        <Part
          key={name}
          schema={part}
          label={labelOf(name, part)}
          path={path + pointer(name)}
          value={held[name]}
          required={schema.required?.includes(name) ?? false}
          errors={errors}
          onChange={(next) => {
            const { [name]: _old, ...rest } = held;
            const merged = next === undefined ? rest : { ...held, [name]: next };
            onChange(Object.keys(merged).length > 0 ? merged : undefined);
          }}
        />
      ))}
    </fieldset>
  );
}

function ListPart({ schema, label, path, value, onChange, errors }: PartProps) {
  const id = useId();
  const held = Array.isArray(value)
    ? value
    : Array.isArray(schema.default) && value === undefined
      ? schema.default
      : [];
  // Entries have no names of their own; a count makes each one's fields its own for as long as the form is there.
  const [keys, setKeys] = useState(() => held.map((_, index) => index));
  const item = asSchema(schema.items);
  const error = errors.get(path);
  /** What one entry is called: by its own title, else as the list is. */
  const one = item.title ?? label;
  const full = schema.maxItems !== undefined && held.length >= schema.maxItems;
  const entries = useRef<HTMLDivElement>(null);
  const adder = useRef<HTMLButtonElement>(null);
  /** Where the focus goes once the list is drawn anew: into a new entry, or to what follows one that is gone. */
  const next = useRef<{ entry: number; at: "first" | "last" } | null>(null);
  // biome-ignore lint/correctness/useExhaustiveDependencies: it is about the moment at which the list changes
  useEffect(() => {
    if (next.current === null) return;
    const { entry, at } = next.current;
    next.current = null;
    const fields = entries.current?.children
      .item(entry)
      ?.querySelectorAll<HTMLElement>("input, select, textarea, button");
    ((at === "first" ? fields?.[0] : fields?.[fields.length - 1]) ?? adder.current)?.focus();
  }, [held.length]);
  return (
    <fieldset
      className="grid gap-3 rounded-lg border p-3 sm:p-4"
      aria-describedby={error ? `${id}-error` : undefined}
    >
      <legend className="-ml-1 px-1 text-sm font-semibold">{label}</legend>
      {schema.description && <p className="-mt-1 text-sm text-muted">{schema.description}</p>}
      {held.length === 0 && <p className="text-sm text-muted">{settings.emptyList}</p>}
      <div ref={entries} className="grid gap-3 empty:hidden">
        {held.map((entry, index) => (
          <div
            key={keys[index] ?? index}
            className={kindOf(item) === "group" ? "flex items-start gap-2 max-sm:flex-col" : "flex items-start gap-2"}
          >
            <div className="w-full min-w-0 flex-1">
              <Part
                schema={item}
                label={settings.entry(one, index + 1)}
                path={path + pointer(index)}
                value={entry}
                required
                errors={errors}
                onChange={(next) => onChange(held.with(index, next ?? blank(item)))}
              />
              <SettingsAction schema={item} value={entry} of={settings.entry(one, index + 1)} />
            </div>
            <Button
              variant="ghost"
              size="icon"
              className={kindOf(item) === "group" ? "mt-6.5 max-sm:mt-0" : "mt-6.5"}
              aria-label={settings.remove(one, index + 1)}
              onClick={() => {
                next.current = { entry: Math.min(index, held.length - 2), at: "last" };
                setKeys(keys.toSpliced(index, 1));
                onChange(held.toSpliced(index, 1));
              }}
            >
              <Trash2 aria-hidden="true" />
            </Button>
          </div>
        ))}
      </div>
      <FieldNotes id={id} error={error} />
      <Button
        ref={adder}
        size="small"
        className="justify-self-start"
        aria-disabled={full || undefined}
        onClick={() => {
          if (full) return;
          next.current = { entry: held.length, at: "first" };
          setKeys([...held.map((_, index) => keys[index] ?? index), Math.max(-1, ...keys, held.length - 1) + 1]);
          onChange([...held, blank(item)]);
        }}
      >
        <Plus aria-hidden="true" />
        {settings.add}
      </Button>
    </fieldset>
  );
}

/** For what no other field stands for. Keeps what is typed while it is no JSON yet, and says so. */
function JsonPart({ schema, label, path, value, onChange, required, errors }: PartProps) {
  const [text, setText] = useState(value === undefined ? "" : JSON.stringify(value, null, 2));
  const [broken, setBroken] = useState(false);
  return (
    <TextField
      label={required ? label : settings.optional(label)}
      help={[schema.description, settings.json].filter(Boolean).join(" ")}
      error={broken ? settings.notJson : errors.get(path)}
      rows={Math.min(Math.max(text.split("\n").length, 3), 12)}
      data-unreadable={broken || undefined}
      value={text}
      onChange={(event) => {
        setText(event.target.value);
        try {
          onChange(event.target.value.trim() === "" ? undefined : JSON.parse(event.target.value));
          setBroken(false);
        } catch {
          setBroken(true);
        }
      }}
    />
  );
}
