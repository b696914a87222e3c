import { act, screen, waitFor } from "@testing-library/react";
import { beforeEach, describe, expect, it, vi } from "vitest";
import { type DeadLetter, eventsDeadLetters, eventsDiscard, eventsRetry, eventsRetryAll } from "@/api/generated";
import { renderRouted } from "@/testing/routed";
import { DeadLetters } from "./dead-letters";

vi.mock("@/api/generated", async (original) => ({
  ...(await original<object>()),
  eventsDeadLetters: vi.fn(),
  eventsDiscard: vi.fn(),
  eventsRetry: vi.fn(),
  eventsRetryAll: vi.fn(),
}));

const letter = (id: string, subscriber: string): DeadLetter => ({
  id,
  subscriber,
  attempts: 8,
  error: "It answered 500.",
  failedAt: "2026-01-01T12:00:00Z",
  event: { specversion: "1.0", id, type: `type.${id}`, source: "/nimbus", time: "2026-01-01T11:00:00Z" },
});

const good = { data: { queued: 1 }, response: { ok: true, status: 202 } };
const bad = (detail: string) => ({
  error: { type: "/problems/x", title: "x", status: 503, detail },
  response: new Response(null, { status: 503 }),
});

/** Calls of an action; each ends when it is told to. */
function held(action: unknown) {
  const ends: ((answer: unknown) => void)[] = [];
  vi.mocked(action as () => Promise<unknown>).mockImplementation(() => new Promise((resolve) => ends.push(resolve)));
  return (call: number, answer: unknown) => act(async () => ends[call]?.(answer));
}

const button = (name: string) => screen.getByRole("button", { name });
const shown = async () => {
  const { user } = await renderRouted(<DeadLetters />);
  await screen.findByRole("table");
  return user;
};

describe("deliveries that were given up", () => {
  beforeEach(() => {
    vi.mocked(eventsDeadLetters as () => Promise<unknown>).mockResolvedValue({
      data: { items: [letter("1", "plugin:a"), letter("2", "plugin:b")], next: null },
      response: { ok: true, status: 200 },
    });
  });

  it("tells what a plugin's schedule did not get from what its events did not get", async () => {
    vi.mocked(eventsDeadLetters as () => Promise<unknown>).mockResolvedValue({
      data: { items: [letter("1", "plugin:a"), letter("2", "schedule:a:nightly")], next: null },
      response: { ok: true, status: 200 },
    });
    await shown();
    const names = screen.getAllByRole("button", { name: /^Try all of / }).map((one) => one.textContent);
    expect(names).toHaveLength(2);
    expect(names[1]).toContain("nightly");
  });

  it("shows each action as busy for as long as it is under way", async () => {
    const user = await shown();
    const end = held(eventsRetry);
    const endAll = held(eventsRetryAll);
    const [one, two] = [button("Deliver type.1 again"), button("Deliver type.2 again")];
    const [all, others] = [button("Try all of plugin:a again"), button("Try all of plugin:b again")];
    await user.click(one);
    await user.click(two);
    await user.click(all);
    for (const busy of [one, two, all]) expect(busy).toHaveAttribute("aria-disabled", "true");
    expect(others).not.toHaveAttribute("aria-disabled", "true");
    await end(1, good);
    await waitFor(() => expect(two).not.toHaveAttribute("aria-disabled", "true"));
    expect(one).toHaveAttribute("aria-disabled", "true");
    expect(all).toHaveAttribute("aria-disabled", "true");
    await end(0, good);
    await endAll(0, good);
    await waitFor(() => expect(all).not.toHaveAttribute("aria-disabled", "true"));
    expect(one).not.toHaveAttribute("aria-disabled", "true");
  });

  it("says what failed, also of one that was not the latest, until something else is done", async () => {
    const user = await shown();
    const end = held(eventsRetry);
    const endAll = held(eventsRetryAll);
    await user.click(button("Deliver type.1 again"));
    await user.click(button("Deliver type.2 again"));
    await end(0, bad("The database is down."));
    await end(1, good);
    expect(await screen.findByRole("alert")).toHaveTextContent("The database is down.");
    await user.click(button("Try all of plugin:a again"));
    await endAll(0, good);
    expect(screen.queryByRole("alert")).not.toBeInTheDocument();
  });

  it("says what failed with the question that it belongs to only", async () => {
    HTMLDialogElement.prototype.showModal = function open() {
      this.open = true;
    };
    const user = await shown();
    vi.mocked(eventsDiscard as () => Promise<unknown>).mockResolvedValue(bad("It is gone."));
    await user.click(button("Discard type.1"));
    await user.click(button("Discard"));
    expect(await screen.findByRole("alert")).toHaveTextContent("It is gone.");
    await user.click(button("Cancel"));
    await user.click(button("Discard type.2"));
    expect(screen.queryByRole("alert")).not.toBeInTheDocument();
  });
});
