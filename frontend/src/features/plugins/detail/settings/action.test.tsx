import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { render, screen } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { describe, expect, it, vi } from "vitest";
import type { PluginConfig } from "@/api/plugin-admin";
import { actionPath } from "./schema";
import { SettingsForm } from "./settings-form";

const config: PluginConfig = {
  schema: {
    type: "object",
    "x-action": { label: "Test all", path: "/test" },
    properties: {
      targets: {
        type: "array",
        items: {
          type: "object",
          title: "Target",
          required: ["name"],
          properties: { name: { type: "string" }, topic: { type: "string", default: "" } },
          "x-action": { label: "Send a test", path: "/targets/{name}/test" },
        },
      },
    },
  },
  values: { targets: [{ name: "phone one" }] },
  secrets: {},
  notified: null,
};

function show(answer: Response) {
  const api = vi.fn(async (_path: string, _init?: RequestInit) => answer);
  render(
    <QueryClientProvider client={new QueryClient()}>
      <SettingsForm config={config} api={api} onSave={async () => config} onDirty={() => undefined} />
    </QueryClientProvider>,
  );
  return { api, user: userEvent.setup() };
}

const json = (body: unknown, status = 200) => new Response(JSON.stringify(body), { status });

describe("an action of a plugin's settings", () => {
  it("calls the route of its entry, and says what came of it", async () => {
    const { api, user } = show(json({ ok: false, detail: "The receiver answered 401." }));
    await user.click(screen.getByRole("button", { name: "Send a test: Target 1" }));
    expect(api).toHaveBeenCalledWith("/targets/phone%20one/test", { method: "POST" });
    expect(await screen.findByRole("alert")).toHaveTextContent("The receiver answered 401.");
  });

  it("stands at an entry whose empty standards are not told", () => {
    show(json({ ok: true }));
    expect(screen.getByRole("textbox", { name: "Topic (optional)" })).toBeInTheDocument();
    expect(screen.queryByText(/Standard:/)).not.toBeInTheDocument();
  });

  it("says a refusal in the words of its problem", async () => {
    const problem = { type: "/problems/plugin-disabled", title: "x", status: 404, detail: "It is off." };
    const { user } = show(json(problem, 404));
    await user.click(screen.getByRole("button", { name: "Test all" }));
    expect(await screen.findByRole("alert")).toHaveTextContent("It is off.");
  });

  it("waits until what it would try is saved", async () => {
    const { api, user } = show(json({ ok: true }));
    await user.type(screen.getByRole("textbox", { name: "Name" }), "x");
    const button = screen.getByRole("button", { name: "Send a test: Target 1" });
    expect(button).toBeDisabled();
    expect(screen.getAllByText("Save first: it works with what is stored.").length).toBeGreaterThan(0);
    expect(api).not.toHaveBeenCalled();
  });

  it("fills its path from its own values only, encoded", () => {
    expect(actionPath("/a/{name}/b", { name: "../x" })).toBe("/a/..%2Fx/b");
    expect(actionPath("/a/{name}", {})).toBeNull();
    expect(actionPath("/a/{name}", { name: "" })).toBeNull();
    expect(actionPath("/a", undefined)).toBe("/a");
  });
});
