import { fireEvent, screen, waitFor, within } from "@testing-library/react";
import type { UserEvent } from "@testing-library/user-event";
import { beforeEach, describe, expect, it, vi } from "vitest";
import { client as calls } from "@/api/generated/client.gen";
import { ApiProblem } from "@/api/problem";
import {
  beginRestore,
  deleteSystemBackup,
  makeSystemBackup,
  type SystemBackup,
  type SystemRestore,
  systemBackupsQuery,
} from "@/api/system-backups";
import { renderRouted } from "@/testing/routed";
import { texts } from "@/texts";
import { BackupsCard } from "./backups-card";

vi.mock("@/api/system-backups", async (original) => ({
  ...(await original<typeof import("@/api/system-backups")>()),
  makeSystemBackup: vi.fn(),
  beginRestore: vi.fn(),
  deleteSystemBackup: vi.fn(),
}));

vi.setConfig({ testTimeout: 30_000 });

const { backups } = texts;
const ready: SystemBackup = {
  id: "b1",
  origin: "made",
  state: "ready",
  createdAt: "2026-01-01T00:00:00Z",
  size: 2048,
  instance: "attic",
  plugins: [
    { id: "notes", version: "1.0.0", enabled: true, data: true },
    { id: "films", version: "1.0.0", enabled: true, data: false, problem: "It did not stop." },
  ],
  remarks: ["Of the data of notes, 1 links, sockets or devices are left out: current."],
};
const making: SystemBackup = {
  id: "b2",
  origin: "made",
  state: "making",
  createdAt: "2026-01-02T00:00:00Z",
  progress: { step: "Plugin Notes", done: 1, total: 4 },
};
const restored: SystemRestore = {
  backupId: "b1",
  state: "done",
  startedAt: "2026-01-02T00:00:00Z",
  backupCreatedAt: "2026-01-01T00:00:00Z",
  changed: true,
  keptAs: "b3",
  plugins: [{ id: "films", outcome: "failed", message: "The image is not there." }],
};

/** The answer of the gateway, which the card asks for. */
function answer(items: SystemBackup[], restore: SystemRestore | null = null) {
  const body = JSON.stringify({ instance: "attic", items, restore });
  calls.setConfig({
    baseUrl: "http://nimbus.test",
    fetch: async () => new Response(body, { headers: { "content-type": "application/json" } }),
  });
}

async function show(items: SystemBackup[], restore: SystemRestore | null = null) {
  answer(items, restore);
  const found = await renderRouted(<BackupsCard />);
  await waitFor(() => expect(found.client.getQueryData(systemBackupsQuery.queryKey)).toBeDefined(), {
    timeout: 10_000,
  });
  return found;
}

const fill = (field: HTMLElement, value: string) => fireEvent.change(field, { target: { value } });
const press = (user: UserEvent, name: string | RegExp) => user.click(screen.getByRole("button", { name }));

beforeEach(() => {
  vi.resetAllMocks();
  // jsdom has dialogs that do not open.
  HTMLDialogElement.prototype.showModal = function showModal() {
    this.open = true;
  };
});

describe("the card of backups", () => {
  it("says that none is kept", async () => {
    await show([]);
    expect(await screen.findByText(backups.emptyTitle)).toBeVisible();
  });

  it("shows what is kept, what it lacks, and the last restore", async () => {
    await show([ready], restored);
    expect(await screen.findByText("2 plugins, 1 with data")).toBeVisible();
    expect(screen.getByText("Without the data of films: It did not stop.")).toBeVisible();
    expect(screen.getByText(/1 links, sockets or devices are left out: current/)).toBeVisible();
    expect(screen.getByRole("link", { name: /^Download/ })).toHaveAttribute("href", "/api/admin/backups/b1/file");
    expect(screen.getByText("The image is not there.")).toBeVisible();
    expect(screen.getByText(backups.kept)).toBeVisible();
  });

  it("shows how far one is, and lets nothing else begin", async () => {
    await show([making, ready]);
    expect(await screen.findByText("Plugin Notes")).toBeVisible();
    expect(screen.getByRole("progressbar")).toHaveAttribute("aria-valuenow", "25");
    expect(screen.getByRole("button", { name: backups.make })).toBeDisabled();
    expect(screen.getByRole("button", { name: /^Restore the backup/ })).toBeDisabled();
  });

  it("asks for a passphrase twice before it makes one", async () => {
    const { user } = await show([]);
    await press(user, backups.make);
    const dialog = within(screen.getByRole("dialog"));
    fill(dialog.getByLabelText(backups.passphrase), "short");
    await user.click(dialog.getByRole("button", { name: backups.begin }));
    expect(dialog.getByLabelText(backups.passphrase)).toBeInvalid();
    fill(dialog.getByLabelText(backups.passphrase), "short and then longer");
    fill(dialog.getByLabelText(backups.repeat), "another");
    await user.click(dialog.getByRole("button", { name: backups.begin }));
    expect(dialog.getByText(backups.repeatDiffers)).toBeVisible();
    expect(makeSystemBackup).not.toHaveBeenCalled();
    fill(dialog.getByLabelText(backups.repeat), "short and then longer");
    await user.click(dialog.getByRole("button", { name: backups.begin }));
    await waitFor(() => expect(vi.mocked(makeSystemBackup).mock.calls[0]?.[0]).toBe("short and then longer"));
  });

  it("restores only with the passphrase and the typed name, and shows why not", async () => {
    const { user } = await show([ready]);
    await press(user, /^Restore the backup/);
    const dialog = within(screen.getByRole("dialog"));
    const action = dialog.getByRole("button", { name: backups.restoreAction });
    fill(dialog.getByLabelText(backups.passphraseOf), "a long passphrase");
    expect(action).toBeDisabled();
    fill(dialog.getByLabelText("Type attic to go on"), "attic");
    vi.mocked(beginRestore).mockRejectedValue(
      new ApiProblem(403, { type: "/problems/forbidden", title: "x", status: 403, detail: "Another passphrase." }),
    );
    await user.click(action);
    expect(await dialog.findByRole("alert")).toHaveTextContent("Another passphrase.");
    expect(beginRestore).toHaveBeenCalledWith("b1", {
      passphrase: "a long passphrase",
      confirm: "attic",
      keepCurrent: true,
    });
  });

  it("deletes one when that is confirmed", async () => {
    const { user } = await show([ready]);
    await press(user, /^Delete the backup/);
    await user.click(within(screen.getByRole("dialog")).getByRole("button", { name: backups.remove }));
    await waitFor(() => expect(deleteSystemBackup).toHaveBeenCalledWith("b1"));
  });
});
