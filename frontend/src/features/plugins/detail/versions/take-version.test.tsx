import { screen, waitFor } from "@testing-library/react";
import { beforeEach, describe, expect, it, vi } from "vitest";
import { type PluginVersion, upgradePlugin } from "@/api/plugin-admin";
import { ApiProblem, type Problem } from "@/api/problem";
import { detailed, listed } from "@/testing/plugins";
import { renderRouted } from "@/testing/routed";
import { TakeVersion } from "./take-version";

vi.mock("@/api/plugin-admin", async (original) => ({
  ...(await original<typeof import("@/api/plugin-admin")>()),
  upgradePlugin: vi.fn(),
}));

const installed: PluginVersion = {
  version: "1.0.0",
  status: "current",
  source: "image:example:1",
  since: "2026-01-01T00:00:00Z",
  permissions: ["media:read", "media:write"],
};
const next: PluginVersion = {
  ...installed,
  version: "1.1.0",
  status: "waiting",
  permissions: ["media:read", "network:egress", "users:read"],
  missingPermissions: ["network:egress", "users:read"],
  changelog: [{ version: "1.1.0", date: "2026-11-27", changes: ["Greets everybody."] }],
};

async function show(version: PluginVersion, ...refusals: Error[]) {
  vi.mocked(upgradePlugin).mockReset();
  for (const one of refusals) vi.mocked(upgradePlugin).mockRejectedValueOnce(one);
  vi.mocked(upgradePlugin).mockResolvedValue({ plugin: detailed("hello", "ready"), settled: true });
  const onClose = vi.fn();
  const { user } = await renderRouted(
    <TakeVersion id="hello" name="Hello" installed={installed} version={version} onClose={onClose} />,
  );
  return { user, onClose };
}

describe("taking another version", () => {
  // jsdom draws no dialogs
  beforeEach(() => {
    HTMLDialogElement.prototype.showModal = function open() {
      this.open = true;
    };
  });

  it("shows what is new and how its permissions differ, and grants what stays ticked", async () => {
    const { user, onClose } = await show(next);
    expect(screen.getByRole("region", { name: "What is new" })).toHaveTextContent(
      "1.1.0 Nov 27, 2026Greets everybody.",
    );
    const may = screen.getByRole("region", { name: "What it may do" });
    expect(may).toHaveTextContent("media:write");
    expect(may).not.toHaveTextContent("media:read");
    await user.click(screen.getByRole("checkbox", { name: /people|users|accounts/i }));
    await user.click(screen.getByRole("button", { name: "Agree and upgrade" }));
    await waitFor(() => expect(onClose).toHaveBeenCalledOnce());
    expect(upgradePlugin).toHaveBeenCalledExactlyOnceWith("hello", {
      version: "1.1.0",
      grant: ["network:egress"],
      force: false,
    });
  });

  it("says so where nothing is new to decide", async () => {
    await show({ ...installed, version: "1.1.0", status: "waiting" });
    expect(screen.getByRole("region", { name: "What is new" })).toHaveTextContent("has written nothing");
    expect(screen.getByRole("region", { name: "What it may do" })).toHaveTextContent("asks for nothing more");
    expect(screen.getByRole("button", { name: "Upgrade" })).toBeEnabled();
  });

  it("asks about plugins that need the version of now", async () => {
    const needed = new ApiProblem(409, {
      type: "/problems/plugin-needed",
      title: "x",
      status: 409,
      detail: "x",
      dependents: [{ ...listed("sonarr", "ready", { name: "Sonarr" }), version: "<1.1", optional: false }],
    } as Problem);
    const { user, onClose } = await show(next, needed);
    await user.click(screen.getByRole("button", { name: "Agree and upgrade" }));
    expect(await screen.findByRole("dialog", { name: "Other plugins need Hello" })).toHaveTextContent("<1.1");
    await user.click(screen.getByRole("button", { name: "Change Hello all the same" }));
    await waitFor(() => expect(onClose).toHaveBeenCalledOnce());
    expect(vi.mocked(upgradePlugin).mock.lastCall?.[1]).toMatchObject({ version: "1.1.0", force: true });
  });
});
