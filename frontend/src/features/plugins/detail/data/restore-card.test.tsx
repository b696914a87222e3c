import { fireEvent, screen, waitFor, within } from "@testing-library/react";
import userEvent, { type UserEvent } from "@testing-library/user-event";
import { beforeEach, describe, expect, it, vi } from "vitest";
import { downloadBackup, type RestoreRequest, type RestoreResult, restoreBackup } from "@/api/backups";
import { ApiProblem } from "@/api/problem";
import { detailed } from "@/testing/plugins";
import { renderRouted } from "@/testing/routed";
import { BackupCard } from "./data-tab";
import { RestoreCard } from "./restore-card";

vi.mock("@/api/backups", async (original) => ({
  ...(await original<typeof import("@/api/backups")>()),
  downloadBackup: vi.fn(),
  restoreBackup: vi.fn(),
}));

const plugin = detailed("notes", "ready");
const file = new File(["x".repeat(2048)], "notes-1.0.0.nimbus-backup.tar");
const result: RestoreResult = {
  plugin,
  version: "1.0.0",
  createdAt: "2026-01-01T00:00:00Z",
  installed: false,
  settings: 3,
  keys: 12,
  files: 2,
  dataBytes: 4096,
  secretsMissing: [],
  leftOut: {},
};

/** An upload that the test leads. */
function held() {
  let asked: RestoreRequest | undefined;
  let end: { resolve: (found: RestoreResult) => void; reject: (error: Error) => void } | undefined;
  vi.mocked(restoreBackup).mockImplementation((_, request) => {
    asked = request;
    return new Promise((resolve, reject) => {
      end = { resolve, reject };
      request.signal.addEventListener("abort", () => reject(new DOMException("x", "AbortError")));
    });
  });
  return {
    sent: (bytes: number) => asked?.onSent(bytes),
    done: () => end?.resolve(result),
  };
}

async function choose(user: UserEvent) {
  await user.upload(screen.getByLabelText("Choose a backup"), file);
}

async function confirm(user: UserEvent) {
  const dialog = screen.getByRole("dialog", { name: "Restore notes?" });
  await user.type(within(dialog).getByLabelText("Type notes to go on"), "notes");
  await user.click(within(dialog).getByRole("button", { name: "Replace and restore" }));
}

async function restore(user: UserEvent) {
  await choose(user);
  await user.click(screen.getByRole("button", { name: "Restore" }));
  await confirm(user);
}

// jsdom draws no dialogs
beforeEach(() => {
  HTMLDialogElement.prototype.showModal = function open() {
    this.open = true;
  };
});

describe("the backup", () => {
  it("is fetched when asked for, and says what it means for the plugin", async () => {
    vi.mocked(downloadBackup).mockResolvedValueOnce();
    await renderRouted(<BackupCard plugin={detailed("notes", "ready", { data: true })} />);
    await userEvent.setup().click(screen.getByRole("button", { name: "Back up now" }));
    expect(downloadBackup).toHaveBeenCalledWith("notes", expect.any(AbortSignal));
    expect(await screen.findByText("The browser has the backup.")).toBeInTheDocument();
    expect(screen.getByText(/is stopped while its files are copied/)).toBeInTheDocument();
    expect(screen.getByText(/Secret settings are left out/)).toBeInTheDocument();
  });

  it("says why there is none", async () => {
    vi.mocked(downloadBackup).mockRejectedValueOnce(
      new ApiProblem(507, {
        type: "/problems/no-space",
        title: "x",
        status: 507,
        detail: "There is no room for it.",
      }),
    );
    await renderRouted(<BackupCard plugin={plugin} />);
    await userEvent.setup().click(screen.getByRole("button", { name: "Back up now" }));
    expect(await screen.findByText("There is no room for it.")).toBeInTheDocument();
  });

  it("does not frighten where nothing is stopped", async () => {
    await renderRouted(<BackupCard plugin={plugin} />);
    expect(screen.getByText("The plugin goes on meanwhile.")).toBeInTheDocument();
  });
});

describe("restoring a backup", () => {
  it("asks for the plugin's id, and says what is replaced", async () => {
    vi.mocked(restoreBackup).mockResolvedValue(result);
    const { user } = await renderRouted(<RestoreCard plugin={plugin} />);
    expect(screen.queryByRole("button", { name: "Restore" })).not.toBeInTheDocument();
    await choose(user);
    expect(screen.getByText("notes-1.0.0.nimbus-backup.tar (2.0 KiB)")).toBeInTheDocument();
    await user.click(screen.getByRole("button", { name: "Restore" }));
    const dialog = screen.getByRole("dialog", { name: "Restore notes?" });
    expect(dialog).toHaveTextContent("Every file that it keeps");
    const go = within(dialog).getByRole("button", { name: "Replace and restore" });
    await user.type(within(dialog).getByLabelText("Type notes to go on"), "note");
    expect(go).toBeDisabled();
    await user.type(within(dialog).getByLabelText("Type notes to go on"), "s");
    expect(restoreBackup).not.toHaveBeenCalled();
    await user.click(go);
    await waitFor(() =>
      expect(restoreBackup).toHaveBeenCalledWith("notes", expect.objectContaining({ file, anyVersion: false })),
    );
  });

  it("takes a file that is dropped, and one only", async () => {
    await renderRouted(<RestoreCard plugin={plugin} />);
    const box = screen.getByText("or drop it here");
    fireEvent.drop(box, { dataTransfer: { files: [file, file] } });
    expect(screen.getByText("One file at a time, please.")).toBeInTheDocument();
    expect(screen.queryByRole("button", { name: "Restore" })).not.toBeInTheDocument();
    fireEvent.drop(box, { dataTransfer: { files: [file] } });
    expect(screen.getByRole("button", { name: "Restore" })).toBeInTheDocument();
  });

  it("shows how far the upload is, then that Nimbus works, then what came of it", async () => {
    const upload = held();
    const { user } = await renderRouted(<RestoreCard plugin={plugin} />);
    await restore(user);
    upload.sent(512);
    await waitFor(() => expect(screen.getByRole("progressbar")).toHaveAttribute("aria-valuenow", "25"));
    expect(screen.getByText("512 B of 2.0 KiB sent")).toBeInTheDocument();
    upload.sent(2048);
    expect(await screen.findByText(/Nimbus checks and restores it/)).toBeInTheDocument();
    expect(screen.queryByRole("button", { name: "Cancel the upload" })).not.toBeInTheDocument();
    upload.done();
    expect(await screen.findByRole("heading", { name: "What was restored" })).toBeInTheDocument();
    expect(screen.getByRole("region", { name: "Restore" })).toHaveFocus();
  });

  it("can be cancelled while it is sent", async () => {
    const upload = held();
    const { user } = await renderRouted(<RestoreCard plugin={plugin} />);
    await restore(user);
    upload.sent(512);
    await user.click(await screen.findByRole("button", { name: "Cancel the upload" }));
    expect(await screen.findByText(/The upload was cancelled. Nothing was changed./)).toBeInTheDocument();
    expect(screen.getByRole("button", { name: "Restore" })).toBeInTheDocument();
  });

  it("does not let one leave unasked while it is sent", async () => {
    const upload = held();
    const { user, router } = await renderRouted(<RestoreCard plugin={plugin} />);
    await restore(user);
    upload.sent(512);
    void router.navigate({ to: "/elsewhere" as never });
    await user.click(await screen.findByRole("button", { name: "Stay" }));
    expect(router.state.location.pathname).toBe("/");
  });

  it("says a refusal in Nimbus' words, with each place", async () => {
    vi.mocked(restoreBackup).mockRejectedValue(
      new ApiProblem(422, {
        type: "/problems/backup-refused",
        title: "x",
        status: 422,
        detail: "Settings in the backup do not fit.",
        errors: [{ path: "/settings/limit", message: "must be at most 10" }],
      }),
    );
    const { user } = await renderRouted(<RestoreCard plugin={plugin} />);
    await restore(user);
    const alert = await screen.findByRole("alert");
    expect(alert).toHaveTextContent("Settings in the backup do not fit.");
    expect(alert).toHaveTextContent("/settings/limit must be at most 10");
    expect(screen.queryByRole("button", { name: "Restore it all the same" })).not.toBeInTheDocument();
  });

  it("offers another version's backup again, with a warning and typed anew", async () => {
    vi.mocked(restoreBackup).mockRejectedValueOnce(
      new ApiProblem(409, { type: "/problems/backup-version", title: "x", status: 409, detail: "It is of 0.9.0." }),
    );
    vi.mocked(restoreBackup).mockResolvedValueOnce(result);
    const { user } = await renderRouted(<RestoreCard plugin={plugin} />);
    await restore(user);
    expect(await screen.findByRole("alert")).toHaveTextContent("It is of 0.9.0.");
    await user.click(screen.getByRole("button", { name: "Restore it all the same" }));
    expect(screen.getByRole("dialog")).toHaveTextContent("may not understand");
    await confirm(user);
    expect(await screen.findByRole("heading", { name: "What was restored" })).toBeInTheDocument();
    expect(restoreBackup).toHaveBeenLastCalledWith("notes", expect.objectContaining({ anyVersion: true }));
  });

  it("lists what was restored, what was left out, and which secrets are to be entered", async () => {
    const names = Array.from({ length: 25 }, (_, index) => `data/link-${index}`);
    vi.mocked(restoreBackup).mockResolvedValue({
      ...result,
      secretsMissing: ["apiKey"],
      leftOut: { count: 30, names },
    });
    const { user } = await renderRouted(<RestoreCard plugin={plugin} />);
    await restore(user);
    const outcome = within(await screen.findByRole("region", { name: "What was restored" }));
    const [version, , settings, keys, files] = outcome.getAllByRole("definition");
    expect([version, settings, keys, files].map((one) => one?.textContent)).toEqual([
      "1.0.0",
      "3",
      "12",
      "2 (4.0 KiB)",
    ]);
    expect(outcome.getByText("apiKey")).toBeInTheDocument();
    expect(outcome.getByRole("link", { name: "Enter them in the settings" })).toHaveAttribute(
      "href",
      "/manage/plugins/notes/settings",
    );
    expect(outcome.getByText("30 entries of its files left out")).toBeInTheDocument();
    expect(outcome.getByText("and 10 more")).toBeInTheDocument();
  });
});
