import { QueryClient, QueryObserver } from "@tanstack/react-query";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { ListedPlugin, PluginSummary } from "@/api/plugins";
import { applyEvent } from "./apply";
import { LiveConnection, type LiveHandlers } from "./connection";

class FakeSource extends EventTarget {
  readyState = 1;
  close = vi.fn();
  say(name: string, data?: unknown, lastEventId = "") {
    const message = () => new MessageEvent(name, { data: JSON.stringify(data), lastEventId });
    this.dispatchEvent(data === undefined ? new Event(name) : message());
  }
  fail(closed: boolean) {
    this.readyState = closed ? 2 : 0;
    this.say("error");
  }
}

describe("the event stream", () => {
  let sources: FakeSource[];
  let handlers: { [name in keyof LiveHandlers]: ReturnType<typeof vi.fn> };
  let connection: LiveConnection;
  const last = () => sources.at(-1) as FakeSource;
  const statuses = () => handlers.onStatus.mock.calls.map(([status]) => status);

  beforeEach(() => {
    vi.useFakeTimers();
    sources = [];
    handlers = { onEvent: vi.fn(), onId: vi.fn(), onStatus: vi.fn(), onRefused: vi.fn() };
    connection = new LiveConnection(handlers as unknown as LiveHandlers, () => {
      const source = new FakeSource();
      sources.push(source);
      return source as unknown as EventSource;
    });
    connection.start();
  });
  afterEach(() => {
    connection.stop();
    vi.useRealTimers();
  });

  it("is live when it opens, and hands on what it understands", () => {
    last().say("open");
    last().say("plugin", { id: "hello" });
    last().dispatchEvent(new MessageEvent("plugin", { data: "{" }));
    expect(statuses()).toEqual(["live"]);
    expect(handlers.onEvent.mock.calls).toEqual([["plugin", { id: "hello" }]]);
  });

  it("tells the id of an event before the event, so that what is read because of it is no older", () => {
    last().say("open");
    last().say("plugin", { id: "hello" });
    expect(handlers.onId).not.toHaveBeenCalled();
    last().say("plugin", { id: "hello" }, "42");
    expect(handlers.onId.mock.calls).toEqual([["42"]]);
    const [told, read] = [handlers.onId, handlers.onEvent].map((handler) => handler.mock.invocationCallOrder.at(-1));
    expect(Number(told)).toBeLessThan(Number(read));
  });

  it("does not speak of a short break", () => {
    last().say("open");
    last().fail(false);
    vi.advanceTimersByTime(1_000);
    last().say("open");
    vi.advanceTimersByTime(10_000);
    expect(statuses()).toEqual(["live"]);
  });

  it("reads again what a break may have hidden, a short one too, and nothing at its first opening", () => {
    last().say("open");
    expect(handlers.onEvent).not.toHaveBeenCalled();
    last().fail(false);
    last().say("open");
    expect(handlers.onEvent.mock.calls).toEqual([["reset", null]]);
  });

  it("is offline when a break lasts, however often the browser tries, then catches up", () => {
    last().say("open");
    for (let attempt = 0; attempt < 10; attempt += 1) {
      last().fail(false);
      vi.advanceTimersByTime(300);
    }
    expect(statuses()).toEqual(["live", "offline"]);
    last().say("open");
    expect(handlers.onEvent).toHaveBeenCalledWith("reset", null);
    connection.caughtUp();
    expect(statuses()).toEqual(["live", "offline", "catching-up", "live"]);
  });

  it("opens a new stream when the server refused, with growing pauses", () => {
    last().fail(true);
    expect(handlers.onRefused).toHaveBeenCalledTimes(1);
    vi.advanceTimersByTime(1_000);
    expect(sources).toHaveLength(2);
    last().fail(true);
    vi.advanceTimersByTime(1_000);
    expect(sources).toHaveLength(2);
    vi.advanceTimersByTime(1_000);
    expect(sources).toHaveLength(3);
  });

  it("lets go of the stream of a tab that nobody looks at, and reads again once somebody does", () => {
    const look = (hidden: boolean) => {
      vi.spyOn(document, "hidden", "get").mockReturnValue(hidden);
      document.dispatchEvent(new Event("visibilitychange"));
    };
    last().say("open");
    look(true);
    vi.advanceTimersByTime(59_000);
    look(false);
    vi.advanceTimersByTime(59_000);
    expect(last().close).not.toHaveBeenCalled();
    look(true);
    vi.advanceTimersByTime(60_000);
    expect(last().close).toHaveBeenCalledOnce();
    window.dispatchEvent(new Event("online"));
    expect(sources).toHaveLength(1);
    look(false);
    expect(sources).toHaveLength(2);
    last().say("open");
    expect(handlers.onEvent.mock.calls).toEqual([["reset", null]]);
    expect(statuses()).toEqual(["live"]);
  });

  it("lets go of the stream of a tab that was opened behind another, too", () => {
    connection.stop();
    const hidden = vi.spyOn(document, "hidden", "get").mockReturnValue(true);
    connection.start();
    vi.advanceTimersByTime(60_000);
    expect(last().close).toHaveBeenCalledOnce();
    hidden.mockRestore();
  });

  it("listens to nothing after its end", () => {
    const source = last();
    connection.stop();
    expect(source.close).toHaveBeenCalled();
    source.say("open");
    source.fail(true);
    vi.advanceTimersByTime(60_000);
    expect(sources).toHaveLength(1);
    expect(handlers.onStatus).not.toHaveBeenCalled();
  });
});

describe("applying events", () => {
  const KEY = ["plugins", "list"];
  const hello: ListedPlugin = {
    id: "hello",
    name: "Hello",
    version: "1.0.0",
    enabled: true,
    state: "starting",
    since: "2026-01-01T00:00:00Z",
    trusted: true,
    progress: "Step 1",
    reason: { code: "x", message: "old" },
    errors: [],
  };
  const now: PluginSummary = {
    id: "hello",
    name: "Hello",
    version: "1.0.0",
    enabled: true,
    state: "ready",
    since: "2026-01-01T00:00:05Z",
    trusted: true,
  };

  it("replaces a plugin's state, and forgets a reason that is over", async () => {
    const client = new QueryClient();
    client.setQueryData(KEY, [hello]);
    await applyEvent(client, "plugin", now);
    expect(client.getQueryData(KEY)).toEqual([{ ...hello, ...now, progress: null, reason: null }]);
  });

  it("adds a new plugin and takes a removed one away", async () => {
    const client = new QueryClient();
    client.setQueryData(KEY, []);
    await applyEvent(client, "plugin", now);
    expect(client.getQueryData<ListedPlugin[]>(KEY)).toHaveLength(1);
    await applyEvent(client, "plugin-removed", { id: "hello" });
    expect(client.getQueryData(KEY)).toEqual([]);
  });

  it("reads nothing again for the next line of a build, and the history when the last one is over", async () => {
    const client = new QueryClient();
    const read = vi.spyOn(client, "invalidateQueries");
    client.setQueryData(KEY, [hello]);
    await applyEvent(client, "plugin", { ...hello, progress: "Step 2" });
    expect(client.getQueryData<ListedPlugin[]>(KEY)?.[0]?.progress).toBe("Step 2");
    expect(read).not.toHaveBeenCalled();
    await applyEvent(client, "plugin", { ...hello, progress: null });
    expect(JSON.stringify(read.mock.calls)).toContain("transitions");
  });

  it("knows from the plugin's own page what is the next line, when nobody has listed the plugins", async () => {
    const client = new QueryClient();
    const read = vi.spyOn(client, "invalidateQueries");
    client.setQueryData(["plugins", "detail", "hello"], hello);
    await applyEvent(client, "plugin", { ...hello, progress: "Step 2" });
    expect(client.getQueryData<PluginSummary>(["plugins", "detail", "hello"])?.progress).toBe("Step 2");
    expect(read).not.toHaveBeenCalled();
  });

  it("lets a first read end however many events come meanwhile, and puts the latest over it", async () => {
    const client = new QueryClient();
    let answer = (_: ListedPlugin[]) => {};
    const queryFn = vi.fn(() => new Promise<ListedPlugin[]>((resolve) => (answer = resolve)));
    const leave = new QueryObserver(client, { queryKey: KEY, queryFn, retry: false }).subscribe(() => {});
    const put = [
      applyEvent(client, "plugin", { ...now, state: "starting" }),
      applyEvent(client, "plugin", { ...now, state: "ready" }),
    ];
    await vi.waitFor(() => expect(queryFn).toHaveBeenCalledOnce());
    answer([hello, { ...hello, id: "other" }]);
    await Promise.all(put);
    expect(queryFn).toHaveBeenCalledOnce();
    expect(client.getQueryData<ListedPlugin[]>(KEY)?.map(({ id, state }) => [id, state])).toEqual([
      ["hello", "ready"],
      ["other", hello.state],
    ]);
    leave();
  });

  it("leaves alone what a form was filled in from when all else is read again", async () => {
    const client = new QueryClient();
    const stale = (...key: string[]) => client.getQueryState(key)?.isInvalidated;
    const keys = [["session"], ["plugins", "config", "hello"], ["plugins", "doctor", "hello"], ["plugins", "list"]];
    for (const key of keys) client.setQueryData(key, {});
    await applyEvent(client, "reset", null);
    expect(keys.map((key) => stale(...key))).toEqual([false, false, false, true]);
  });

  it("begins a read anew that an event has overtaken", async () => {
    const client = new QueryClient();
    let reads = 0;
    const observer = new QueryObserver(client, {
      queryKey: KEY,
      queryFn: async ({ signal }) => {
        reads += 1;
        // The first answer never comes by itself.
        if (reads === 1)
          await new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
        return [
          { ...hello, ...now },
          { ...hello, id: "other" },
        ];
      },
      initialData: [hello],
      staleTime: Number.POSITIVE_INFINITY,
      retry: false,
    });
    const leave = observer.subscribe(() => {});
    void client.invalidateQueries({ queryKey: KEY });
    await vi.waitFor(() => expect(reads).toBe(1));
    await applyEvent(client, "plugin", now);
    await vi.waitFor(() => expect(client.getQueryData<ListedPlugin[]>(KEY)).toHaveLength(2));
    expect(reads).toBe(2);
    leave();
  });

  it("reads again how a plugin stands that others need, and no other", async () => {
    const client = new QueryClient();
    const stale = (id: string) => client.getQueryState(["plugins", "detail", id])?.isInvalidated;
    client.setQueryData(KEY, [hello]);
    client.setQueryData(["plugins", "detail", "reader"], { dependencies: [{ id: "hello" }] });
    client.setQueryData(["plugins", "detail", "helper"], { dependents: [{ id: "hello" }] });
    client.setQueryData(["plugins", "detail", "loner"], {});
    await applyEvent(client, "plugin", { ...now, state: "starting" });
    expect(stale("reader")).toBe(false);
    await applyEvent(client, "plugin", now);
    expect([stale("reader"), stale("helper"), stale("loner")]).toEqual([true, true, false]);
  });

  it("reads the pages again when a plugin begins or ends to serve, and only then", async () => {
    const client = new QueryClient();
    const read = vi.spyOn(client, "invalidateQueries");
    const pagesRead = () => read.mock.calls.some(([filter]) => JSON.stringify(filter).includes("manifests"));
    client.setQueryData(KEY, [hello]);
    await applyEvent(client, "plugin", { ...now, state: "initializing" });
    expect(pagesRead()).toBe(false);
    await applyEvent(client, "plugin", now);
    expect(pagesRead()).toBe(true);
  });
});
