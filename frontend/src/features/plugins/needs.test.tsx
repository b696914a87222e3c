import { screen, waitFor, within } from "@testing-library/react";
import { beforeEach, describe, expect, it, vi } from "vitest";
import { type ListedPlugin, type PluginDependency, type PluginDependent, setEnabled } from "@/api/plugins";
import { ApiProblem, type Problem } from "@/api/problem";
import { detailed, listed } from "@/testing/plugins";
import { renderRouted } from "@/testing/routed";
import { DependenciesCard } from "./detail/dependencies-card";
import { needsOf } from "./needs";
import { PluginCard } from "./plugin-card";

vi.mock("@/api/plugins", async (original) => ({
  ...(await original<typeof import("@/api/plugins")>()),
  setEnabled: vi.fn(),
}));

const off: PluginDependency = {
  id: "indexer",
  name: "Indexer",
  version: ">=2",
  optional: false,
  installedVersion: "2.1.0",
  enabled: false,
  state: "disabled",
  problem: "disabled",
  message: "indexer is disabled: enable it.",
};
const missing: PluginDependency = {
  id: "downloader",
  version: "*",
  optional: false,
  problem: "missing",
  message: "downloader is not installed: install it.",
};
const sonarr: PluginDependent = {
  id: "sonarr",
  name: "Sonarr",
  version: "*",
  optional: false,
  enabled: true,
  state: "ready",
};

const refusal = (type: string, extra: object) =>
  new ApiProblem(409, {
    type: `/problems/${type}`,
    title: "x",
    status: 409,
    detail: "In words.",
    ...extra,
  } as Problem);
const unmet = (canEnable: boolean, ...dependencies: PluginDependency[]) =>
  refusal("dependencies-unmet", { dependencies, canEnable });
const needed = refusal("plugin-needed", { dependents: [sonarr] });

async function show(plugin: ListedPlugin, ...refusals: Error[]) {
  vi.mocked(setEnabled).mockReset();
  for (const one of refusals) vi.mocked(setEnabled).mockRejectedValueOnce(one);
  vi.mocked(setEnabled).mockImplementation(async (id, enabled) => ({
    plugin: detailed(id, enabled ? "starting" : "stopping"),
    generation: 2,
    settled: false,
  }));
  const { user } = await renderRouted(<PluginCard plugin={plugin} admin page={null} />);
  await user.click(screen.getByRole("switch"));
  return user;
}

describe("a switch that other plugins stand in the way of", () => {
  // jsdom draws no dialogs
  beforeEach(() => {
    HTMLDialogElement.prototype.showModal = function open() {
      this.open = true;
    };
  });

  it("offers to enable what a plugin needs with it", async () => {
    const user = await show(listed("search", "disabled"), unmet(true, off));
    const dialog = await screen.findByRole("dialog", { name: "search needs other plugins" });
    expect(dialog).toHaveTextContent("Indexer");
    expect(dialog).toHaveTextContent("indexer is disabled: enable it.");
    expect(screen.queryByRole("alert")).not.toBeInTheDocument();
    await user.click(within(dialog).getByRole("button", { name: "Enable these too" }));
    await waitFor(() => expect(setEnabled).toHaveBeenLastCalledWith("search", true, "too"));
    expect(screen.queryByRole("dialog")).not.toBeInTheDocument();
  });

  it("offers nothing that would not do, but the way to install", async () => {
    const user = await show(listed("search", "disabled"), unmet(false, off, missing));
    const dialog = await screen.findByRole("dialog");
    expect(dialog).toHaveTextContent("downloader is not installed: install it.");
    expect(within(dialog).getByRole("link", { name: "Install a plugin" })).toHaveAttribute("href", "/install");
    expect(within(dialog).queryByRole("button", { name: "Enable these too" })).not.toBeInTheDocument();
    await user.click(within(dialog).getAllByRole("button", { name: "Close" }).at(-1) as HTMLElement);
    await waitFor(() => expect(screen.queryByRole("dialog")).not.toBeInTheDocument());
    expect(setEnabled).toHaveBeenCalledTimes(1);
  });

  it.each([
    ["Disable these too", "too"],
    ["Disable only indexer", "regardless"],
  ] as const)("says who needs it: %s", async (choice, others) => {
    const user = await show(listed("indexer", "ready"), needed);
    const dialog = await screen.findByRole("dialog", { name: "Other plugins need indexer" });
    expect(within(dialog).getByRole("link", { name: "Sonarr" })).toBeInTheDocument();
    await user.click(within(dialog).getByRole("button", { name: choice }));
    await waitFor(() => expect(setEnabled).toHaveBeenLastCalledWith("indexer", false, others));
  });

  it("changes nothing when one thinks better of it", async () => {
    const user = await show(listed("indexer", "ready"), needed);
    await user.click(await screen.findByRole("button", { name: "Cancel" }));
    await waitFor(() => expect(screen.queryByRole("dialog")).not.toBeInTheDocument());
    expect(setEnabled).toHaveBeenCalledTimes(1);
  });

  it("shows what is refused after that in its place", async () => {
    const consent = refusal("consent-required", {});
    const user = await show(listed("search", "disabled"), unmet(true, off), consent);
    await user.click(await screen.findByRole("button", { name: "Enable these too" }));
    expect(await screen.findByRole("alert")).toHaveTextContent("In words.");
    expect(screen.queryByRole("dialog")).not.toBeInTheDocument();
  });

  it("asks nothing about any other refusal", () => {
    expect(needsOf(refusal("consent-required", {}))).toBeNull();
    expect(needsOf(refusal("plugin-needed", {}))).toBeNull();
    expect(needsOf(new Error("x"))).toBeNull();
  });
});

describe("the other plugins on a plugin's page", () => {
  it("says of each how it stands and what to do", async () => {
    await renderRouted(
      <DependenciesCard
        plugin={{ dependencies: [off, { ...missing, optional: true }], dependents: [{ ...sonarr, state: "failed" }] }}
      />,
    );
    const [first, second, third] = screen.getAllByRole("listitem");
    expect(first).toHaveTextContent("IndexerOff>=2indexer is disabled: enable it.");
    expect(within(first as HTMLElement).getByRole("link", { name: "Indexer" })).toHaveAttribute(
      "href",
      "/manage/plugins/indexer",
    );
    expect(second).toHaveTextContent("downloaderNot installedoptionalany version");
    expect(third).toHaveTextContent("SonarrFailedany version");
  });

  it("is not there without any", async () => {
    await renderRouted(<DependenciesCard plugin={{}} />);
    expect(screen.queryByRole("heading")).not.toBeInTheDocument();
  });
});
