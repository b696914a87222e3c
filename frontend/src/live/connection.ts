import { restWhileHidden } from "./rest";

export type LiveStatus = "connecting" | "live" | "catching-up" | "offline";

/** What arrives on the event stream, already parsed. */
export interface LiveHandlers {
  /** Each named event with its data. */
  onEvent: (name: LiveEventName, data: unknown) => void;
  /** The id of an event that has one, before the event itself. */
  onId: (id: string) => void;
  onStatus: (status: LiveStatus, previous: LiveStatus) => void;
  /** The stream was refused or has ended, so no reconnection by the browser itself is under way. */
  onRefused: () => void;
}

export const LIVE_EVENTS = [
  "plugin",
  "plugin-removed",
  "reset",
  "system",
  "event",
  "install",
  "install-ended",
] as const;
export type LiveEventName = (typeof LIVE_EVENTS)[number];

type Source = Pick<EventSource, "addEventListener" | "close" | "readyState">;

const CLOSED = 2;
const GRACE_MS = 1_500;
const FIRST_RETRY_MS = 1_000;
const LAST_RETRY_MS = 15_000;

/**
 * The dashboard's one event stream.
 *
 * The browser reconnects a broken stream by itself; a stream that the server refused it gives up on, and this opens
 * a new one with growing pauses. `Last-Event-ID` covers the states of plugins, not what else happened meanwhile, so
 * after every break `reset` has everything read again that somebody looks at. Short breaks are not shown: the status
 * turns to offline only when one lasts. A tab that nobody looks at has no stream, and catches up when somebody does.
 */
export class LiveConnection {
  #source: Source | null = null;
  #status: LiveStatus = "connecting";
  /** It was open once and is broken since. */
  #missing = false;
  /** Let go of because nobody looks. */
  #resting = false;
  #endRests: () => void = () => {};
  #retryMs = FIRST_RETRY_MS;
  #retryTimer: ReturnType<typeof setTimeout> | undefined;
  #graceTimer: ReturnType<typeof setTimeout> | undefined;
  readonly #handlers: LiveHandlers;
  readonly #open: () => Source;

  constructor(handlers: LiveHandlers, open: () => Source = () => new EventSource("/api/events/stream")) {
    this.#handlers = handlers;
    this.#open = open;
  }

  start(): void {
    this.#connect();
    window.addEventListener("online", this.#connectNow);
    window.addEventListener("offline", this.#goOffline);
    this.#endRests = restWhileHidden(this.#rest, this.#wake);
  }

  stop(): void {
    window.removeEventListener("online", this.#connectNow);
    window.removeEventListener("offline", this.#goOffline);
    this.#endRests();
    clearTimeout(this.#retryTimer);
    clearTimeout(this.#graceTimer);
    this.#source?.close();
    this.#source = null;
  }

  /** The data that was missed has been read again. */
  caughtUp(): void {
    if (this.#status === "catching-up") this.#set("live");
  }

  #connect(): void {
    clearTimeout(this.#retryTimer);
    this.#source?.close();
    const source = this.#open();
    this.#source = source;
    source.addEventListener("open", () => this.#opened(source));
    source.addEventListener("error", () => this.#failed(source));
    for (const name of LIVE_EVENTS) {
      source.addEventListener(name, (event) => {
        if (source === this.#source) this.#received(name, event as MessageEvent<string>);
      });
    }
  }

  #opened(source: Source): void {
    if (source !== this.#source) return;
    clearTimeout(this.#graceTimer);
    this.#graceTimer = undefined;
    this.#retryMs = FIRST_RETRY_MS;
    const missing = this.#missing || this.#status === "offline";
    this.#missing = false;
    this.#set(this.#status === "offline" ? "catching-up" : "live");
    if (missing) this.#handlers.onEvent("reset", null);
  }

  #failed(source: Source): void {
    if (source !== this.#source) return;
    this.#missing ||= this.#status === "live" || this.#status === "catching-up";
    // Counted from the first failure: each attempt of the browser to reconnect is one more.
    this.#graceTimer ??= setTimeout(() => this.#set("offline"), GRACE_MS);
    if (source.readyState !== CLOSED) return;
    this.#handlers.onRefused();
    this.#retryTimer = setTimeout(() => this.#connect(), this.#retryMs);
    this.#retryMs = Math.min(this.#retryMs * 2, LAST_RETRY_MS);
  }

  #received(name: LiveEventName, event: MessageEvent<string>): void {
    let data: unknown;
    try {
      data = JSON.parse(event.data);
    } catch {
      return;
    }
    if (event.lastEventId) this.#handlers.onId(event.lastEventId);
    this.#handlers.onEvent(name, data);
  }

  #rest = (): void => {
    this.#resting = true;
    this.#missing = true;
    clearTimeout(this.#retryTimer);
    clearTimeout(this.#graceTimer);
    this.#graceTimer = undefined;
    this.#source?.close();
    this.#source = null;
  };

  #wake = (): void => {
    this.#resting = false;
    this.#connectNow();
  };

  #connectNow = (): void => {
    if (this.#resting) return;
    this.#retryMs = FIRST_RETRY_MS;
    this.#connect();
  };

  #goOffline = (): void => {
    this.#set("offline");
  };

  #set(status: LiveStatus): void {
    if (status === this.#status) return;
    const previous = this.#status;
    this.#status = status;
    this.#handlers.onStatus(status, previous);
  }
}
