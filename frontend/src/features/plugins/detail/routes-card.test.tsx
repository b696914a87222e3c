import { render, screen } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { expect, it } from "vitest";
import { RoutesCard } from "./routes-card";

const routes = (count: number) =>
  Array.from({ length: count }, (_, index) => ({ path: `/${index}`, methods: ["GET" as const] }));

it("shows ten routes of many until all are asked for, and keeps the focus", async () => {
  const user = userEvent.setup();
  render(<RoutesCard id="sonarr" routes={routes(45)} />);
  expect(screen.getAllByRole("row")).toHaveLength(1 + 10);
  const more = screen.getByRole("button", { name: "Show all 45 routes", expanded: false });
  await user.click(more);
  expect(screen.getAllByRole("row")).toHaveLength(1 + 45);
  expect(screen.getByRole("button", { name: "Show fewer", expanded: true })).toHaveFocus();
});

it("asks nothing about ten", () => {
  render(<RoutesCard id="hello" routes={routes(10)} />);
  expect(screen.getAllByRole("row")).toHaveLength(1 + 10);
  expect(screen.queryByRole("button")).toBeNull();
});
