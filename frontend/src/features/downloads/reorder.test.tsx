import { act, screen, waitFor, within } from "@testing-library/react";
import { beforeEach, describe, expect, it, vi } from "vitest";
import { type Download, moveTo } from "@/api/downloads";
import { ApiProblem } from "@/api/problem";
import { Announcer } from "@/components/announcer";
import { Toasts } from "@/components/toasts";
import { renderRouted } from "@/testing/routed";
import DownloadsPage from "./downloads-page";

/** The queue as the server has it. */
let titles: string[] = [];

const item = (title: string, index: number) =>
  ({
    id: title,
    title,
    url: `https://files.test/${title}`,
    provider: "getter",
    state: "queued",
    wanted: "run",
    position: index + 1,
    received: 0,
    createdAt: "2026-01-01T00:00:00Z",
  }) as unknown as Download;

vi.mock("@/api/downloads", async (original) => {
  const real = await original<typeof import("@/api/downloads")>();
  const { pagedQuery } = await import("@/api/paging");
  return {
    ...real,
    queueQuery: pagedQuery(["downloads", "queue"], async () => ({ items: titles.map(item) })),
    historyQuery: pagedQuery(["downloads", "history"], async () => ({ items: [] as Download[] })),
    providersQuery: { queryKey: ["downloads", "providers"], queryFn: async () => [{ id: "getter", name: "Getter" }] },
    moveTo: vi.fn(),
  };
});

async function show() {
  const { user } = await renderRouted(
    <>
      <DownloadsPage />
      <Toasts />
      <Announcer />
    </>,
  );
  await screen.findByText("one");
  return user;
}

const order = () =>
  within(screen.getByRole("region", { name: "Queue" }).querySelector("ol") as HTMLElement)
    .getAllByRole("listitem")
    .map((row) => row.querySelector("span")?.textContent);
const button = (name: string) => screen.getByRole("button", { name });

describe("the order of the downloads by keyboard", () => {
  beforeEach(() => {
    titles = ["one", "two", "three"];
    vi.mocked(moveTo).mockReset();
    vi.mocked(moveTo).mockImplementation(async (id, position) => {
      const others = titles.filter((title) => title !== id);
      titles = others.toSpliced(position - 1, 0, id);
      return item(id, position - 1);
    });
  });

  it("goes down step by step, keeps the focus and says where it is", async () => {
    const user = await show();
    act(() => button("Move down: one").focus());
    await user.keyboard("{Enter}");
    await waitFor(() => expect(order()).toEqual(["two", "one", "three"]));
    expect(moveTo).toHaveBeenLastCalledWith("one", 2);
    expect(button("Move down: one")).toHaveFocus();
    expect(await screen.findByText(/one.*2/)).toBeInTheDocument();
    await user.keyboard("{Enter}");
    await waitFor(() => expect(order()).toEqual(["two", "three", "one"]));
    expect(button("Move down: one")).toHaveFocus();
  });

  it("ends at the ends, where the button stays in reach", async () => {
    const user = await show();
    act(() => button("Move up: one").focus());
    expect(button("Move up: one")).toHaveAttribute("aria-disabled", "true");
    await user.keyboard("{Enter}");
    act(() => button("Move down: three").focus());
    await user.keyboard(" ");
    expect(moveTo).not.toHaveBeenCalled();
    expect(button("Move down: three")).toHaveFocus();
  });

  it("stays as it was when it is refused, and says why", async () => {
    const user = await show();
    vi.mocked(moveTo).mockRejectedValueOnce(
      new ApiProblem(409, { type: "/problems/conflict", title: "x", status: 409, detail: "It has ended." }),
    );
    act(() => button("Move up: three").focus());
    await user.keyboard("{Enter}");
    expect(await screen.findAllByText("It has ended.")).not.toHaveLength(0);
    expect(order()).toEqual(["one", "two", "three"]);
  });
});
