import type { Wanted } from "../bundle";
import type { PluginPageProps } from "../types";

/** Version of the messages between the dashboard and the frame; both come from one build, so they agree. */
export const BRIDGE_VERSION = 1;

/** A page's props without what cannot be sent: functions, which the frame makes itself out of messages. */
export type PlainProps = Omit<PluginPageProps, "api" | "navigate">;

export interface Render {
  type: "render";
  bundleUrl: string;
  wanted: Wanted;
  props: PlainProps;
}

export type FailureKind = "load" | "contract" | "crash";

/** A call of the plugin's own routes, with its body read whole. */
export interface Call {
  type: "call";
  id: number;
  path: string;
  method: string;
  headers: [string, string][];
  body: ArrayBuffer | null;
}

/** An answer's head; its body follows, a chunk for each `pull`. */
export interface Head {
  type: "head";
  id: number;
  status: number;
  statusText: string;
  headers: [string, string][];
  hasBody: boolean;
}

export type ToFrame =
  | Render
  | { type: "ping" }
  | Head
  | { type: "chunk"; id: number; bytes: Uint8Array<ArrayBuffer> }
  | { type: "end"; id: number }
  | { type: "broken"; id: number; name: string; message: string };

export type ToHost =
  | { type: "ready" }
  | { type: "pong" }
  | { type: "failed"; kind: FailureKind; message: string }
  | { type: "height"; pixels: number }
  | { type: "navigate"; path: string; replace: boolean }
  | { type: "palette" }
  | Call
  | { type: "pull"; id: number }
  | { type: "cancel"; id: number };

const MAX_TEXT = 4_000;

const isText = (value: unknown): value is string => typeof value === "string" && value.length <= MAX_TEXT;
const isPairs = (value: unknown): value is [string, string][] =>
  Array.isArray(value) &&
  value.length <= 100 &&
  value.every((pair) => Array.isArray(pair) && pair.length === 2 && pair.every(isText));

/**
 * What came from a frame, when it is one of the messages that a frame may send; else `null`.
 *
 * The frame runs code that nobody trusts, and that code holds the port: every field is checked, nothing is assumed.
 */
export function fromFrame(data: unknown): ToHost | null {
  if (typeof data !== "object" || data === null || !("type" in data)) return null;
  const { type, id, path, method, headers, body, message, kind, pixels, replace } = data as Record<string, unknown>;
  const numbered = typeof id === "number" && Number.isSafeInteger(id);
  switch (type) {
    case "ready":
    case "pong":
    case "palette":
      return { type };
    case "failed":
      return {
        type,
        kind: kind === "load" || kind === "contract" ? kind : "crash",
        message: String(message).slice(0, MAX_TEXT),
      };
    case "height":
      return typeof pixels === "number" && Number.isFinite(pixels) ? { type, pixels } : null;
    case "navigate":
      return isText(path) ? { type, path, replace: replace === true } : null;
    case "pull":
    case "cancel":
      return numbered ? { type, id } : null;
    case "call":
      return numbered &&
        isText(path) &&
        isText(method) &&
        isPairs(headers) &&
        (body === null || body instanceof ArrayBuffer)
        ? { type, id, path, method, headers, body }
        : null;
    default:
      return null;
  }
}
