import { render, screen, within } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { describe, expect, it } from "vitest";
import { TimeChart } from "./time-chart";
import { dotsOf, levelOf, lineOf, nearest, roundTop, ticksOf } from "./time-scale";

describe("the scale", () => {
  it.each([
    [0, false, 1],
    [7, false, 10],
    [10, false, 10],
    [0.021, false, 0.025],
    [130, false, 200],
    [1024, true, 1024],
    [1100, true, 1536],
    [1800, true, 2048],
  ])("ends at a round value at or above %d", (highest, binary, top) => {
    expect(roundTop(highest, binary)).toBeCloseTo(top);
  });

  it("leaves a gap where nothing is known, and shows a value that stands alone as a dot", () => {
    expect(lineOf([1, null, 0, 1], 1)).toBe("M400.0 140.0L600.0 0.0");
    expect(dotsOf([1, null, 0, 1], 1)).toBe("M0.0 0.0L0.0 0.0");
    expect(lineOf([null, null], 1) + dotsOf([null, null], 1)).toBe("");
  });

  it("draws how high the only value stands", () => {
    expect(levelOf([null, 1, null], 2)).toBe("M0 70.0L600 70.0");
    expect(levelOf([1, null, 1], 2)).toBe("");
  });

  it("names no moment twice", () => {
    expect([ticksOf(1), ticksOf(2), ticksOf(61)]).toEqual([[0], [0, 1], [0, 30, 60]]);
  });

  it("finds the moment under a pointer, also beyond the ends", () => {
    expect([nearest(-1, 5), nearest(0.5, 5), nearest(2, 5)]).toEqual([0, 2, 4]);
  });
});

describe("a chart", () => {
  const times = ["2026-01-01T10:00:00Z", "2026-01-01T10:01:00Z", "2026-01-01T10:02:00Z"];
  const show = () =>
    render(
      <TimeChart
        title="Requests"
        times={times}
        say={(value) => `${value} of them`}
        limit={9}
        series={[
          { name: "All", tone: "accent", values: [5, 6, 7] },
          { name: "Failed", tone: "danger", values: [null, 1, 0] },
        ]}
      />,
    );

  it("says its newest values, and any other by keyboard", async () => {
    show();
    const user = userEvent.setup();
    const moment = screen.getByRole("slider", { name: "Requests: moment" });
    expect(moment).toHaveAttribute("aria-valuetext", expect.stringMatching(/All 7 of them, Failed 0 of them$/));
    await user.tab();
    expect(moment).toHaveFocus();
    await user.keyboard("{ArrowLeft}");
    expect(moment).toHaveAttribute("aria-valuetext", expect.stringMatching(/All 6 of them, Failed 1 of them$/));
    await user.keyboard("{Home}{ArrowLeft}");
    expect(moment).toHaveAttribute("aria-valuetext", expect.stringMatching(/All 5 of them, Failed –$/));
    expect(moment).toHaveAttribute("aria-valuenow", "0");
    await user.keyboard("{Escape}");
    expect(moment).toHaveAttribute("aria-valuenow", "2");
  });

  it("says the newest moment of which something is known, until another is chosen", async () => {
    render(
      <TimeChart
        title="Latency"
        times={times}
        say={(value) => `${value} ms`}
        series={[{ name: "Half", tone: "accent", values: [null, 12, null] }]}
      />,
    );
    const moment = screen.getByRole("slider", { name: "Latency: moment" });
    expect(moment).toHaveAttribute("aria-valuetext", expect.stringMatching(/Half 12 ms$/));
    expect(screen.queryByText("now")).not.toBeInTheDocument();
    moment.focus();
    await userEvent.setup().keyboard("{End}");
    expect(moment).toHaveAttribute("aria-valuetext", expect.stringMatching(/Half –$/));
  });

  it("is there as a table, newest first", () => {
    show();
    const rows = within(screen.getByRole("table", { hidden: true })).getAllByRole("row", { hidden: true });
    expect(rows).toHaveLength(4);
    expect(rows[1]).toHaveTextContent("7 of them0 of them");
    expect(screen.getByText("Limit 9 of them")).toBeInTheDocument();
  });
});
