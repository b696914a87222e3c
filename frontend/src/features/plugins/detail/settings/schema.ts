/** A button that tries what is set: a declared route of the plugin, answering `{ok, detail}` to a POST. */
export interface Action {
  label: string;
  /** As in the manifest; `{name}` stands for a value of the same entry. */
  path: string;
}

/** The path with its placeholders filled in, encoded; `null` while a value for one is missing. */
export function actionPath(path: string, value: unknown): string | null {
  let missing = false;
  const filled = path.replace(/\{([A-Za-z0-9_]+)\}/g, (_, name: string) => {
    const found = isRecord(value) ? value[name] : undefined;
    if ((typeof found !== "string" && typeof found !== "number") || found === "") missing = true;
    return encodeURIComponent(String(found));
  });
  return missing ? null : filled;
}

/** The part of JSON Schema that the form has fields for; everything else is edited as JSON. */
export interface Schema {
  type?: string | string[];
  title?: string;
  description?: string;
  default?: unknown;
  enum?: unknown[];
  const?: unknown;
  format?: string;
  properties?: Record<string, Schema>;
  required?: string[];
  items?: Schema;
  minimum?: number;
  maximum?: number;
  minLength?: number;
  maxLength?: number;
  minItems?: number;
  maxItems?: number;
  "x-secret"?: boolean;
  "x-action"?: Action;
}

export type Values = Record<string, unknown>;

export type FieldKind = "text" | "secret" | "number" | "integer" | "boolean" | "choice" | "list" | "group" | "json";

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

export const asSchema = (value: unknown): Schema => (isRecord(value) ? (value as Schema) : {});

const PLAIN = new Set(["string", "number", "integer", "boolean"]);
/** Words of JSON Schema that no field stands for. */
const COMPOSED = ["$ref", "oneOf", "anyOf", "allOf", "not", "if", "prefixItems", "patternProperties"];

/** Which field a schema gets. */
export function kindOf(schema: Schema): FieldKind {
  if (COMPOSED.some((word) => word in schema)) return "json";
  if (Array.isArray(schema.enum) && schema.enum.every((item) => ["string", "number"].includes(typeof item))) {
    return "choice";
  }
  switch (schema.type) {
    case "string":
      return schema["x-secret"] ? "secret" : "text";
    case "number":
    case "integer":
    case "boolean":
      return schema.type;
    case "array": {
      const kind = kindOf(asSchema(schema.items));
      return kind === "json" || kind === "list" ? "json" : "list";
    }
    case "object":
      return schema.properties ? "group" : "json";
    default:
      return "json";
  }
}

/** What people call a setting: its title, else its name with its words apart. */
export function labelOf(name: string, schema: Schema): string {
  if (schema.title) return schema.title;
  const words = name
    .replace(/([a-z0-9])([A-Z])/g, "$1 $2")
    .replace(/[_-]+/g, " ")
    .trim();
  return words.charAt(0).toUpperCase() + words.slice(1).toLowerCase();
}

/** The value that a new entry of a list begins with. */
export function blank(schema: Schema): unknown {
  if (schema.default !== undefined) return schema.default;
  switch (kindOf(schema)) {
    case "boolean":
      return false;
    case "group":
      return Object.fromEntries(
        Object.entries(schema.properties ?? {})
          .filter(([name, part]) => part.default !== undefined || schema.required?.includes(name))
          .map(([name, part]) => [name, blank(part)]),
      );
    case "list":
      return [];
    case "choice":
      return schema.enum?.[0];
    case "number":
    case "integer":
      return schema.minimum ?? 0;
    case "json":
      return PLAIN.has(String(schema.type)) ? "" : null;
    default:
      return "";
  }
}

/** A JSON pointer from its parts (RFC 6901). */
export const pointer = (...parts: (string | number)[]): string =>
  parts.map((part) => `/${String(part).replaceAll("~", "~0").replaceAll("/", "~1")}`).join("");

/** Equal as JSON: what the form compares to know whether anything was changed. */
export const same = (a: unknown, b: unknown): boolean => JSON.stringify(a) === JSON.stringify(b);
