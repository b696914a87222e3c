import { screen, within } from "@testing-library/react";
import { expect, it } from "vitest";
import type { InstallJob } from "@/api/installs";
import { renderRouted } from "@/testing/routed";
import { Job } from "./job";

const job: InstallJob = {
  id: "1",
  kind: "install",
  source: "image:example/shelf:1.0.0",
  state: "running",
  message: "ccc Downloading 50 %",
  startedAt: "2026-01-01T00:00:00Z",
  layers: [
    { id: "aaa", status: "Already exists" },
    { id: "bbb", status: "Waiting" },
    { id: "ccc", status: "Downloading", current: 512, total: 1024 },
    { id: "ddd", status: "Verifying Checksum" },
  ],
};

it("shows how far each layer is, and says aloud only how many are here", async () => {
  await renderRouted(<Job job={job} fresh />);
  const layers = within(screen.getByRole("list", { name: "Layers of the image" }));
  const share = (name: string) => layers.getByRole("progressbar", { name }).getAttribute("aria-valuenow");
  expect(["Layer aaa", "Layer bbb", "Layer ccc", "Layer ddd"].map(share)).toEqual(["100", "0", "50", "100"]);
  expect(layers.getAllByRole("listitem")[2]).toHaveTextContent("cccDownloading512 B / 1.0 KiB");
  expect(screen.getByRole("status")).toHaveTextContent("1 of 4 layers are here.");
});

it("says what came of it", async () => {
  await renderRouted(
    <Job job={{ ...job, state: "failed", message: "x", problem: { detail: "There is no such image." } }} fresh />,
  );
  expect(screen.getByRole("status")).toHaveTextContent("There is no such image.");
  expect(screen.queryByRole("list")).not.toBeInTheDocument();
});
