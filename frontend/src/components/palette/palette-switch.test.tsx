import { screen, waitFor, within } from "@testing-library/react";
import { beforeEach, describe, expect, it, vi } from "vitest";
import { setEnabled } from "@/api/plugins";
import { ApiProblem, type Problem } from "@/api/problem";
import { detailed, listed } from "@/testing/plugins";
import { renderRouted } from "@/testing/routed";
import { Toasts } from "../toasts";
import PaletteSwitch from "./palette-switch";

vi.mock("@/api/plugins", async (original) => ({
  ...(await original<typeof import("@/api/plugins")>()),
  setEnabled: vi.fn(),
}));

const problem = (type: string, extra: object = {}) =>
  new ApiProblem(409, { type, title: "x", status: 409, detail: "In words.", ...extra } as Problem);
const needed = problem("/problems/plugin-needed", { dependents: [listed("sonarr", "ready", { name: "Sonarr" })] });

async function show(...refusals: Error[]) {
  vi.mocked(setEnabled).mockReset();
  for (const one of refusals) vi.mocked(setEnabled).mockRejectedValueOnce(one);
  vi.mocked(setEnabled).mockResolvedValue({
    plugin: detailed("indexer", "stopping"),
    settled: false,
  });
  const onEnd = vi.fn();
  const { user } = await renderRouted(
    <>
      <PaletteSwitch plugin={listed("indexer", "ready", { name: "Indexer" })} enabled={false} onEnd={onEnd} />
      <Toasts />
    </>,
  );
  return { user, onEnd };
}

describe("a switch by the palette", () => {
  // jsdom draws no dialogs
  beforeEach(() => {
    HTMLDialogElement.prototype.showModal = function open() {
      this.open = true;
    };
  });

  it("says that it is done", async () => {
    const { onEnd } = await show();
    expect(await screen.findByText("Indexer is being stopped.")).toBeInTheDocument();
    expect(setEnabled).toHaveBeenCalledExactlyOnceWith("indexer", false, undefined);
    expect(onEnd).toHaveBeenCalledOnce();
  });

  it("asks what is to become of those that need it", async () => {
    const { user, onEnd } = await show(needed);
    const dialog = await screen.findByRole("dialog", { name: "Other plugins need Indexer" });
    expect(within(dialog).getByRole("link", { name: "Sonarr" })).toBeInTheDocument();
    expect(onEnd).not.toHaveBeenCalled();
    await user.click(within(dialog).getByRole("button", { name: "Disable these too" }));
    await waitFor(() => expect(onEnd).toHaveBeenCalledOnce());
    expect(setEnabled).toHaveBeenLastCalledWith("indexer", false, "too");
  });

  it("changes nothing when one thinks better of it", async () => {
    const { user, onEnd } = await show(needed);
    await user.click(await screen.findByRole("button", { name: "Cancel" }));
    expect(onEnd).toHaveBeenCalledOnce();
    expect(setEnabled).toHaveBeenCalledOnce();
  });

  it("tells any other refusal in its words", async () => {
    const { onEnd } = await show(problem("/problems/consent-required"));
    expect(await screen.findByText("In words.")).toBeInTheDocument();
    expect(onEnd).toHaveBeenCalledOnce();
  });
});
