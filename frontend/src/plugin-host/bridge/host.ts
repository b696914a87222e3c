import type { PluginApi } from "../scoped-api";
import { type Call, type FailureKind, fromFrame, type Render, type ToFrame } from "./protocol";

export interface HostHandlers {
  /** Bound to the plugin's own prefix: the only thing that the frame can reach of Nimbus. */
  api: PluginApi;
  navigate: (path: string, options: { replace: boolean }) => void;
  onReady: () => void;
  onFailed: (kind: FailureKind, message: string) => void;
  onHeight: (pixels: number) => void;
  onPalette: () => void;
  /** The frame has not answered for a while: its code is in an endless loop, or gone. */
  onSilent: () => void;
}

interface OpenCall {
  abort: AbortController;
  reader: ReadableStreamDefaultReader<Uint8Array<ArrayBuffer>> | null;
}

const CALLS_AT_ONCE = 64;
const PING_MS = 5_000;
const SILENT_AFTER_PINGS = 4;

/** The dashboard's end of the bridge to one frame. */
export class HostBridge {
  readonly #port: MessagePort;
  readonly #handlers: HostHandlers;
  readonly #calls = new Map<number, OpenCall>();
  readonly #pinging: ReturnType<typeof setInterval>;
  #unanswered = 0;

  constructor(port: MessagePort, handlers: HostHandlers) {
    this.#port = port;
    this.#handlers = handlers;
    port.onmessage = (event: MessageEvent<unknown>) => this.#received(event.data);
    this.#pinging = setInterval(() => this.#ping(), PING_MS);
  }

  render(message: Omit<Render, "type">): void {
    this.#send({ type: "render", ...message });
  }

  close(): void {
    clearInterval(this.#pinging);
    for (const { abort } of this.#calls.values()) abort.abort();
    this.#calls.clear();
    this.#port.close();
  }

  #send(message: ToFrame): void {
    this.#port.postMessage(message, message.type === "chunk" ? [message.bytes.buffer] : []);
  }

  #ping(): void {
    // A page in the background is slowed down by the browser, which says nothing about its code.
    if (document.visibilityState !== "visible") this.#unanswered = 0;
    if (this.#unanswered >= SILENT_AFTER_PINGS) this.#handlers.onSilent();
    this.#unanswered += 1;
    this.#send({ type: "ping" });
  }

  #received(data: unknown): void {
    const message = fromFrame(data);
    this.#unanswered = 0;
    switch (message?.type) {
      case "ready":
        this.#handlers.onReady();
        break;
      case "failed":
        this.#handlers.onFailed(message.kind, message.message);
        break;
      case "height":
        this.#handlers.onHeight(message.pixels);
        break;
      case "navigate":
        this.#handlers.navigate(message.path, { replace: message.replace });
        break;
      case "palette":
        this.#handlers.onPalette();
        break;
      case "call":
        void this.#call(message);
        break;
      case "pull":
        void this.#pull(message.id);
        break;
      case "cancel":
        this.#calls.get(message.id)?.abort.abort();
        this.#calls.delete(message.id);
    }
  }

  async #call({ id, path, method, headers, body }: Call): Promise<void> {
    if (this.#calls.has(id)) return;
    if (this.#calls.size >= CALLS_AT_ONCE) {
      this.#broken(id, new TypeError(`a page may have ${CALLS_AT_ONCE} calls under way at once`));
      return;
    }
    const call: OpenCall = { abort: new AbortController(), reader: null };
    this.#calls.set(id, call);
    try {
      const answer = await this.#handlers.api(path, { method, headers, body, signal: call.abort.signal });
      if (!this.#calls.has(id)) return;
      call.reader = answer.body?.getReader() ?? null;
      if (!call.reader) this.#calls.delete(id);
      this.#send({
        type: "head",
        id,
        status: answer.status,
        statusText: answer.statusText,
        headers: [...answer.headers],
        hasBody: call.reader !== null,
      });
    } catch (error) {
      this.#broken(id, error);
    }
  }

  async #pull(id: number): Promise<void> {
    try {
      const part = await this.#calls.get(id)?.reader?.read();
      if (!part || !this.#calls.has(id)) return;
      // A copy, because sending it takes the buffer away, and other chunks may share it.
      if (!part.done) return this.#send({ type: "chunk", id, bytes: part.value.slice() });
      this.#calls.delete(id);
      this.#send({ type: "end", id });
    } catch (error) {
      this.#broken(id, error);
    }
  }

  #broken(id: number, error: unknown): void {
    this.#calls.delete(id);
    const { name, message } = error instanceof Error ? error : new Error(String(error));
    this.#send({ type: "broken", id, name, message });
  }
}
