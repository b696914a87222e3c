import { screen, waitFor, within } from "@testing-library/react";
import { beforeEach, describe, expect, it, vi } from "vitest";
import { uninstallPlugin } from "@/api/plugin-admin";
import { ApiProblem, type Problem } from "@/api/problem";
import { detailed, listed } from "@/testing/plugins";
import { renderRouted } from "@/testing/routed";
import { Uninstall } from "./danger-tab";

vi.mock("@/api/plugin-admin", async (original) => ({
  ...(await original<typeof import("@/api/plugin-admin")>()),
  uninstallPlugin: vi.fn(),
}));

const needed = new ApiProblem(409, {
  type: "/problems/plugin-needed",
  title: "x",
  status: 409,
  detail: "In words.",
  dependents: [{ ...listed("sonarr", "ready", { name: "Sonarr" }), version: "*", optional: false }],
} as Problem);

describe("taking a plugin away that others need", () => {
  // jsdom draws no dialogs
  beforeEach(() => {
    HTMLDialogElement.prototype.showModal = function open() {
      this.open = true;
    };
  });

  it.each([
    ["Disable these and uninstall", "too"],
    ["Uninstall only Indexer", "regardless"],
  ] as const)("asks the same as a switch does: %s", async (choice, others) => {
    vi.mocked(uninstallPlugin).mockReset();
    vi.mocked(uninstallPlugin).mockRejectedValueOnce(needed);
    vi.mocked(uninstallPlugin).mockResolvedValue({
      pluginId: "indexer",
      dataDeleted: true,
      stillListed: true,
      generation: 3,
    });
    const onClose = vi.fn();
    const { user } = await renderRouted(
      <Uninstall plugin={detailed("indexer", "ready", { name: "Indexer" })} deleting onClose={onClose} />,
    );
    await user.type(screen.getByLabelText("Type indexer to go on"), "indexer");
    await user.click(screen.getByRole("button", { name: "Delete everything" }));
    const dialog = await screen.findByRole("dialog", { name: "Other plugins need Indexer" });
    expect(within(dialog).getByRole("link", { name: "Sonarr" })).toBeInTheDocument();
    expect(uninstallPlugin).toHaveBeenCalledExactlyOnceWith("indexer", true, undefined);
    await user.click(within(dialog).getByRole("button", { name: choice }));
    await waitFor(() => expect(onClose).toHaveBeenCalledOnce());
    expect(uninstallPlugin).toHaveBeenLastCalledWith("indexer", true, others);
  });
});
