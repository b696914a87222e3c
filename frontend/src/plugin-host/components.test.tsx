import { act, render, screen, waitFor } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import { Field } from "@/components/ui/field";
import { ManifestErrors } from "@/features/plugins/failure";
import { StageProgress } from "@/features/plugins/stage-progress";
import { PluginBoundary } from "./boundary";
import { PluginContext } from "./context";
import { Link } from "./link";
import type { PluginApi, PluginPageProps } from "./types";
import { useApi } from "./use-api";

const props = (api: PluginApi, navigate = vi.fn()): PluginPageProps => ({
  plugin: { id: "hello", name: "Hello", version: "1.0.0" },
  basePath: "/plugins/hello",
  api,
  user: { id: "u", username: "ann", role: "user" },
  theme: "light",
  navigate,
  path: "/",
  params: {},
  context: {},
});

const json = (body: unknown, status = 200) =>
  new Response(JSON.stringify(body), {
    status,
    headers: { "content-type": status < 400 ? "application/json" : "application/problem+json" },
  });

let failing = false;

function Fragile() {
  if (failing) throw new Error("its own fault");
  return <p>well</p>;
}

function Reader({ path, lazy = false }: { path: string; lazy?: boolean }) {
  const { data, error, loading, reload } = useApi<{ text: string }>(path, { lazy });
  return (
    <>
      <output>{loading ? "loading" : (error?.message ?? data?.text ?? "nothing")}</output>
      <button type="button" onClick={reload}>
        again
      </button>
    </>
  );
}

const reading = (api: PluginApi, path: string, lazy = false) => (
  <PluginContext value={props(api)}>
    <Reader path={path} lazy={lazy} />
  </PluginContext>
);

describe("useApi", () => {
  it("reads, and shows a problem in the plugin's own words", async () => {
    const answers = [json({ text: "first" }), json({ type: "x", title: "t", status: 409, detail: "Not now." }, 409)];
    const api = vi.fn<PluginApi>(async () => answers.shift() as Response);
    render(reading(api, "a"));
    expect(await screen.findByText("first")).toBeInTheDocument();
    await userEvent.click(screen.getByRole("button"));
    expect(await screen.findByText("Not now.")).toBeInTheDocument();
  });

  it("waits to be asked when it is lazy", async () => {
    const api = vi.fn<PluginApi>(async () => json({ text: "asked" }));
    render(reading(api, "a", true));
    expect(screen.getByText("nothing")).toBeInTheDocument();
    expect(api).not.toHaveBeenCalled();
    await userEvent.click(screen.getByRole("button"));
    expect(await screen.findByText("asked")).toBeInTheDocument();
  });

  it("drops an answer that was overtaken", async () => {
    const open = new Map<string, (answer: Response) => void>();
    const api: PluginApi = (path) => new Promise((resolve) => open.set(path, resolve));
    const { rerender } = render(reading(api, "slow"));
    rerender(reading(api, "fast"));
    await waitFor(() => expect(open.size).toBe(2));
    await act(async () => open.get("fast")?.(json({ text: "fast" })));
    await act(async () => open.get("slow")?.(json({ text: "slow" })));
    expect(screen.getByText("fast")).toBeInTheDocument();
  });
});

describe("a plugin's links", () => {
  it("navigate within the dashboard and keep a real address", async () => {
    const navigate = vi.fn();
    render(
      <PluginContext value={props(async () => json({}), navigate)}>
        <Link to="/items/3">Three</Link>
      </PluginContext>,
    );
    const link = screen.getByRole("link", { name: "Three" });
    expect(link).toHaveAttribute("href", "/plugins/hello/items/3");
    await userEvent.click(link);
    expect(navigate).toHaveBeenCalledExactlyOnceWith("/items/3");
  });
});

describe("the boundary", () => {
  it("keeps a failure to itself and starts afresh when asked", async () => {
    vi.spyOn(console, "error").mockImplementation(() => undefined);
    vi.stubGlobal("reportError", vi.fn());
    failing = true;
    render(
      <>
        <p>the rest</p>
        <PluginBoundary
          fallback={(error, reset) => (
            <button type="button" onClick={reset}>
              {error.message}
            </button>
          )}
        >
          <Fragile />
        </PluginBoundary>
      </>,
    );
    expect(screen.getByText("the rest")).toBeInTheDocument();
    failing = false;
    await userEvent.click(screen.getByRole("button", { name: "its own fault" }));
    expect(screen.getByText("well")).toBeInTheDocument();
  });
});

describe("what a person is told", () => {
  it("ties a field's error to its input", () => {
    render(<Field label="Code" help="In the log." error="It is wrong." />);
    expect(screen.getByLabelText("Code")).toBeInvalid();
    expect(screen.getByLabelText("Code")).toHaveAccessibleDescription("In the log. It is wrong.");
  });

  it("shows the first errors of a manifest and how many more there are", () => {
    const errors = [1, 2, 3, 4, 5, 6].map((count) => ({ path: `/routes/${count}`, message: `error ${count}` }));
    render(<ManifestErrors errors={errors} />);
    expect(screen.getAllByRole("listitem")).toHaveLength(4);
    expect(screen.getByText("and 2 more")).toBeInTheDocument();
  });

  it("says which step of a start it is at", () => {
    vi.useFakeTimers({ toFake: ["Date"], now: new Date("2026-01-01T00:01:15.900Z") });
    onTestFinished(() => void vi.useRealTimers());
    const since = "2026-01-01T00:00:00.100Z";
    const plugin = { id: "a", name: "A", version: "1.0.0", enabled: true, trusted: true, since };
    const { rerender } = render(<StageProgress plugin={{ ...plugin, state: "starting" }} />);
    expect(screen.getByRole("progressbar")).toHaveAttribute("aria-valuetext", "Starting, Step 2 of 4");
    expect(screen.getByText("1 min 15 s")).toBeInTheDocument();
    rerender(<StageProgress plugin={{ ...plugin, state: "ready" }} />);
    expect(screen.queryByRole("progressbar")).not.toBeInTheDocument();
  });
});
