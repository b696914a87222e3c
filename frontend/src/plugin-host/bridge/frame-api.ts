import type { PluginApi } from "../scoped-api";
import type { Head, ToFrame, ToHost } from "./protocol";

interface Waiting {
  answer: (response: Response) => void;
  refuse: (error: Error) => void;
  body: ReadableStreamDefaultController<Uint8Array> | null;
}

const NO_BODY = new Set([204, 205, 304]);
/** Only makes a `Request` valid; nothing is ever asked of it. */
const NOWHERE = "http://bridge.invalid/";

/** The frame's end of the bridge: an `api` that works like the one of pages that run in the dashboard itself. */
export class FrameApi {
  readonly #send: (message: ToHost, transfer?: Transferable[]) => void;
  readonly #calls = new Map<number, Waiting>();
  #last = 0;

  constructor(send: (message: ToHost, transfer?: Transferable[]) => void) {
    this.#send = send;
  }

  readonly api: PluginApi = async (path, init = {}) => {
    const { signal } = init;
    signal?.throwIfAborted();
    // The browser's own rules for methods, headers and kinds of bodies.
    const { signal: _signal, mode: _mode, credentials: _credentials, ...plain } = init;
    const request = new Request(NOWHERE, plain);
    const body = init.body === undefined || init.body === null ? null : await request.arrayBuffer();
    signal?.throwIfAborted();
    this.#last += 1;
    const id = this.#last;
    return new Promise<Response>((answer, refuse) => {
      this.#calls.set(id, { answer, refuse, body: null });
      signal?.addEventListener("abort", () => this.#abort(id, signal.reason), { once: true });
      this.#send(
        { type: "call", id, path, method: request.method, headers: [...request.headers], body },
        body ? [body] : [],
      );
    });
  };

  /** Take in a message of the dashboard about a call. */
  received(message: Extract<ToFrame, { id: number }>): void {
    const call = this.#calls.get(message.id);
    if (!call) return;
    switch (message.type) {
      case "head":
        if (!message.hasBody) this.#calls.delete(message.id);
        call.answer(this.#response(message, call));
        break;
      case "chunk":
        call.body?.enqueue(message.bytes);
        break;
      case "end":
        this.#calls.delete(message.id);
        call.body?.close();
        break;
      case "broken": {
        this.#calls.delete(message.id);
        const error =
          message.name === "TypeError"
            ? new TypeError(message.message)
            : Object.assign(new Error(message.message), { name: message.name });
        if (call.body) call.body.error(error);
        else call.refuse(error);
        break;
      }
    }
  }

  #response({ id, status, statusText, headers, hasBody }: Head, call: Waiting): Response {
    const stream = hasBody
      ? new ReadableStream<Uint8Array>({
          start: (controller) => {
            call.body = controller;
          },
          pull: () => this.#send({ type: "pull", id }),
          cancel: () => this.#abort(id, undefined),
        })
      : null;
    return new Response(NO_BODY.has(status) ? null : stream, { status, statusText, headers });
  }

  #abort(id: number, reason: unknown): void {
    const call = this.#calls.get(id);
    if (!call) return;
    this.#calls.delete(id);
    this.#send({ type: "cancel", id });
    const error = reason instanceof Error ? reason : new DOMException("The call was ended.", "AbortError");
    if (!call.body) call.refuse(error);
    else if (reason !== undefined) call.body.error(error);
  }
}
