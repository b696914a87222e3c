import { render, screen, within } from "@testing-library/react";
import { expect, it } from "vitest";
import { DataTable } from "./data-table";

it("says itself what each part is, whatever it is laid out as, and has as many cells as columns", () => {
  render(
    <DataTable
      label="People"
      rows={[{ name: "Ada", note: "" }]}
      rowKey={({ name }) => name}
      columns={[
        { title: "Note", cell: ({ note }) => note },
        { title: "Name", cell: ({ name }) => name },
        { title: "Actions", bare: true, cell: () => null },
      ]}
    />,
  );
  const table = screen.getByRole("table");
  const [head, body] = within(table).getAllByRole("rowgroup");
  const headers = within(head as HTMLElement).getAllByRole("columnheader");
  const cells = within(body as HTMLElement).getAllByRole("cell");
  const rows = within(table).getAllByRole("row");
  for (const part of [table, head, body, ...rows, ...headers, ...cells]) expect(part).toHaveAttribute("role");
  expect(headers.map((header) => header.textContent)).toEqual(["Note", "Name", "Actions"]);
  expect(cells.map((cell) => [cell.textContent, cell.dataset.title])).toEqual([
    ["", "Note"],
    ["Ada", "Name"],
    ["", undefined],
  ]);
});
