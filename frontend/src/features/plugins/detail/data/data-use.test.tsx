import { screen } from "@testing-library/react";
import { expect, it, vi } from "vitest";
import { adminPluginsMetrics } from "@/api/generated";
import type { PluginMetrics } from "@/api/plugin-admin";
import { renderRouted } from "@/testing/routed";
import { DataUse } from "./data-use";

vi.mock("@/api/generated", async (original) => ({
  ...(await original<typeof import("@/api/generated")>()),
  adminPluginsMetrics: vi.fn(),
}));

async function show(data: PluginMetrics["data"]) {
  const metrics = { pluginId: "notes", state: "ready", restarts: 0, data } as PluginMetrics;
  vi.mocked(adminPluginsMetrics).mockResolvedValue({
    data: metrics,
    error: undefined,
    response: new Response(),
  } as never);
  await renderRouted(<DataUse pluginId="notes" />);
}

it("shows what is kept of what may be", async () => {
  await show({ usedBytes: 2 ** 30, limitBytes: 10 * 2 ** 30, measuredAt: new Date().toISOString() });
  const bar = await screen.findByRole("progressbar", { name: "1.0 GiB of 10.0 GiB" });
  expect(bar).toHaveAttribute("aria-valuenow", "10");
});

it("says so before the first count", async () => {
  await show(null);
  expect(await screen.findByText(/not counted yet/)).toBeInTheDocument();
  expect(screen.queryByRole("progressbar")).not.toBeInTheDocument();
});
