import { act, render, screen } from "@testing-library/react";
import { useState } from "react";
import { expect, it } from "vitest";
import { useFocusRescue } from "./focus-rescue";

function Part({ onGone }: { onGone?: () => void }) {
  const [rows, setRows] = useState(["one", "two"]);
  useFocusRescue();
  return (
    <main>
      <h1>Page</h1>
      <button type="button">elsewhere</button>
      <section aria-label="part">
        <h2>Part</h2>
        {rows.map((row) => (
          <button
            key={row}
            type="button"
            onClick={() => {
              setRows(rows.filter((one) => one !== row));
              onGone?.();
            }}
          >
            {row}
          </button>
        ))}
      </section>
    </main>
  );
}

function Untitled() {
  const [there, setThere] = useState(true);
  useFocusRescue();
  return (
    <>
      <main>
        <h1>Page</h1>
      </main>
      <section aria-label="notes">
        {there && (
          <button type="button" onClick={() => setThere(false)}>
            close
          </button>
        )}
      </section>
    </>
  );
}

const button = (name: string) => screen.getByRole("button", { name });
const press = (name: string) =>
  act(() => {
    button(name).focus();
    button(name).click();
  });
const afterGrace = () => act(() => new Promise((done) => setTimeout(done, 200)));

it("puts the focus of what was taken away on the title of its part", async () => {
  render(<Part />);
  press("one");
  expect(document.body).toHaveFocus();
  await afterGrace();
  expect(screen.getByRole("heading", { name: "Part" })).toHaveFocus();
});

it("looks further out where the part has no title", async () => {
  render(<Untitled />);
  press("close");
  await afterGrace();
  expect(screen.getByRole("heading", { name: "Page" })).toHaveFocus();
});

it("leaves alone what has been put elsewhere meanwhile", async () => {
  render(<Part onGone={() => setTimeout(() => button("two").focus())} />);
  press("one");
  await afterGrace();
  expect(button("two")).toHaveFocus();
});

it("takes no focus for what nobody was at any more", async () => {
  const { rerender } = render(<Part key="a" />);
  act(() => button("one").focus());
  await act(async () => button("one").blur());
  rerender(<Part key="b" />);
  await afterGrace();
  expect(document.body).toHaveFocus();
});
