import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { render, screen, waitFor, within } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { beforeEach, describe, expect, it, vi } from "vitest";
import type { Manifest } from "@/api/plugins";
import { type CompatPort, freePort, mapPort, portsQuery } from "@/api/ports";
import { ApiProblem } from "@/api/problem";
import { PortsCard, productsOf } from "./ports-card";

vi.mock("@/api/ports", async (original) => ({
  ...(await original<typeof import("@/api/ports")>()),
  mapPort: vi.fn(),
  freePort: vi.fn(),
}));

const routes: Manifest["routes"] = [
  { path: "/api/v3/series", tag: "compat:sonarr" },
  { path: "/api/v3/queue", tag: "compat:sonarr" },
  { path: "/own" },
];

function show(items: CompatPort[]) {
  const client = new QueryClient({
    defaultOptions: { queries: { staleTime: Number.POSITIVE_INFINITY, retry: false } },
  });
  client.setQueryData(portsQuery.queryKey, items);
  render(
    <QueryClientProvider client={client}>
      <PortsCard pluginId="sonarr" routes={routes} />
    </QueryClientProvider>,
  );
  return userEvent.setup();
}

const port = (number: number, rest: Partial<CompatPort> = {}): CompatPort => ({
  port: number,
  bound: true,
  pluginId: null,
  pluginName: null,
  products: [],
  ...rest,
});

describe("the ports of a plugin", () => {
  // jsdom draws no dialogs
  beforeEach(() => {
    HTMLDialogElement.prototype.showModal = function open() {
      this.open = true;
    };
  });

  it("names each product once, and shows nothing for a plugin without", () => {
    expect(productsOf(routes)).toEqual(["sonarr"]);
    const client = new QueryClient();
    const { container } = render(
      <QueryClientProvider client={client}>
        <PortsCard pluginId="hello" routes={[{ path: "/own" }]} />
      </QueryClientProvider>,
    );
    expect(container).toBeEmptyDOMElement();
  });

  it("maps one that is free and can be reached", async () => {
    vi.mocked(mapPort).mockResolvedValue(port(8990, { pluginId: "sonarr" }));
    const user = show([port(8989, { pluginId: "other" }), port(8990), port(9000, { bound: false })]);
    expect(screen.getAllByRole("option").map((option) => option.textContent)).toEqual(["8990"]);
    await user.click(screen.getByRole("button", { name: "Map this port" }));
    await waitFor(() => expect(mapPort).toHaveBeenCalledWith(8990, "sonarr"));
  });

  it("says a refusal in Nimbus' words", async () => {
    vi.mocked(mapPort).mockRejectedValue(
      new ApiProblem(409, { type: "/problems/compat-port-taken", title: "x", status: 409, detail: "It is taken." }),
    );
    const user = show([port(8990)]);
    await user.click(screen.getByRole("button", { name: "Map this port" }));
    expect(await screen.findByRole("alert")).toHaveTextContent("It is taken.");
  });

  it("frees one only after saying what that means, and tells which cannot be reached", async () => {
    vi.mocked(freePort).mockResolvedValue(undefined as never);
    const user = show([port(8989, { pluginId: "sonarr", bound: false })]);
    expect(screen.getByText(/nobody can reach it/)).toBeInTheDocument();
    await user.click(screen.getByRole("button", { name: "Free port 8989" }));
    const dialog = screen.getByRole("dialog", { name: "Free port 8989" });
    expect(dialog).toHaveTextContent("get 404 from then on");
    expect(freePort).not.toHaveBeenCalled();
    await user.click(within(dialog).getByRole("button", { name: "Free" }));
    await waitFor(() => expect(freePort).toHaveBeenCalledWith(8989));
  });

  it("says the way out when no port is set aside, or none is left", () => {
    show([]);
    expect(screen.getByText(/NIMBUS_COMPAT_PORTS and start Nimbus anew/)).toBeInTheDocument();
    show([port(8989, { pluginId: "other" })]);
    expect(screen.getByText(/Every port is mapped/)).toBeInTheDocument();
  });
});
