import { QueryClient } from "@tanstack/react-query";
import { beforeEach, describe, expect, it, vi } from "vitest";
import { adminPluginsTransitions } from "./generated";
import { type Transition, transitionsQuery } from "./plugins";

vi.mock("./generated", async (original) => ({ ...(await original<object>()), adminPluginsTransitions: vi.fn() }));

const call = vi.mocked(adminPluginsTransitions as (options: unknown) => Promise<unknown>);
const change = (id: number, at = `at ${id}`): Transition => ({
  id,
  pluginId: "hello",
  toState: "ready",
  at,
  cause: "engine",
});
const changes = (count: number) => Array.from({ length: count }, (_, index) => change(index + 1));

/** What the server keeps, as it answers: oldest first, after a cursor, a page at a time. */
let kept: Transition[];

beforeEach(() => {
  call.mockReset();
  call.mockImplementation(async (options) => {
    const { after, limit } = (options as { query: { after: number; limit: number } }).query;
    const rest = kept.filter((item) => item.id > after);
    const items = rest.slice(0, limit);
    return {
      data: { items, next: rest.length > limit ? items.at(-1)?.id : null },
      response: { ok: true, status: 200 },
    };
  });
});

describe("a plugin's history", () => {
  const read = (client: QueryClient) => client.fetchQuery({ ...transitionsQuery("hello"), staleTime: 0 });
  const ids = async (client: QueryClient) => (await read(client)).items.map((item) => item.id);

  it("is the latest changes, newest first; then only what came since is read", async () => {
    const client = new QueryClient();
    kept = changes(450);
    const first = await read(client);
    expect([first.items.length, first.items[0]?.id, first.items.at(-1)?.id, first.partial]).toEqual([
      200,
      450,
      251,
      true,
    ]);
    expect(call).toHaveBeenCalledTimes(3);

    kept = [...kept, change(460), change(470)].slice(-100);
    const second = await read(client);
    expect(second.items.slice(0, 3).map((item) => item.id)).toEqual([470, 460, 450]);
    expect([second.items.length, second.partial]).toEqual([200, true]);
    expect(call).toHaveBeenCalledTimes(4);

    expect(await read(client)).toEqual(second);
    expect(call).toHaveBeenCalledTimes(5);
  });

  it("says that older ones are left out from when there are too many", async () => {
    const client = new QueryClient();
    kept = changes(200);
    expect((await read(client)).partial).toBe(false);
    kept = changes(201);
    expect((await read(client)).partial).toBe(true);
  });

  it("is read anew when the server no longer has what was read", async () => {
    const client = new QueryClient();
    kept = [];
    expect(await ids(client)).toEqual([]);
    kept = changes(9);
    expect(await ids(client)).toEqual([9, 8, 7, 6, 5, 4, 3, 2, 1]);
    // Gone back to a backup, and on from there.
    kept = [...changes(7), change(8, "another"), change(9, "another moment")];
    expect((await read(client)).items.map((item) => item.at).slice(0, 3)).toEqual([
      "another moment",
      "another",
      "at 7",
    ]);
    // Installed anew.
    kept = [change(20)];
    expect(await ids(client)).toEqual([20]);
    kept = [];
    expect(await ids(client)).toEqual([]);
  });
});
