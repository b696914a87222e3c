import { render, screen, within } from "@testing-library/react";
import { expect, it } from "vitest";
import type { Transition } from "@/api/plugins";
import { Changes } from "./history";

const at = (seconds: number) => new Date(Date.UTC(2026, 0, 1, 12, 0, seconds)).toISOString();
const change = (id: number, toState: Transition["toState"], message?: string): Transition => ({
  id,
  pluginId: "hello",
  toState,
  at: at(id),
  cause: "reconciler",
  ...(message && { reason: { code: "exited", message } as Transition["reason"] }),
});

it("says why something failed once, with the failure, and again where the reason is another", () => {
  render(
    <Changes
      items={[
        change(4, "quarantined", "It was given up."),
        change(3, "backoff", "It ended."),
        change(2, "failed", "It ended."),
        change(1, "starting"),
      ]}
    />,
  );
  const rows = screen.getAllByRole("listitem");
  expect(rows.map((row) => within(row).queryByText(/^It /)?.textContent)).toEqual([
    "It was given up.",
    undefined,
    "It ended.",
    undefined,
  ]);
});

it("says what happened while the state stayed: an upgrade in a line, one that was undone with what to do", () => {
  const stayed = { fromState: "ready", toState: "ready" } as const;
  const undone = { code: "upgrade-failed", hop: "start", message: "It did not start.", hint: "Look at its log." };
  render(
    <Changes
      items={[
        { ...change(2, "ready"), ...stayed, reason: undone as Transition["reason"] },
        { ...change(1, "ready", "Upgrade to 1.1.0 is done."), ...stayed },
      ]}
    />,
  );
  const rows = screen.getAllByRole("listitem");
  expect(rows[0]).toHaveTextContent("Look at its log.");
  expect(rows[1]).toHaveTextContent("Upgrade to 1.1.0 is done.");
});
