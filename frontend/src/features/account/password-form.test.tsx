import { QueryClientProvider } from "@tanstack/react-query";
import { render, screen, waitFor } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { beforeEach, describe, expect, it, vi } from "vitest";
import { ApiProblem } from "@/api/problem";
import { changePassword } from "@/api/session";
import { makeQueryClient } from "@/query-client";
import { texts } from "@/texts";
import { PasswordForm } from "./password-form";

vi.mock("@/api/session", async (original) => ({ ...(await original<object>()), changePassword: vi.fn() }));
const call = vi.mocked(changePassword);

const present = () => screen.getByLabelText(texts.account.current);
const fresh = () => screen.getByLabelText(texts.account.new);
const repeat = () => screen.getByLabelText(texts.account.repeat);

function refusal(status: number, path: string, message: string): ApiProblem {
  return new ApiProblem(status, {
    type: "/problems/x",
    title: "x",
    status,
    detail: "x",
    errors: [{ path, message }],
  });
}

async function submit(one: string, two: string, three: string) {
  for (const [field, text] of [
    [present(), one],
    [fresh(), two],
    [repeat(), three],
  ] as const) {
    await userEvent.clear(field);
    await userEvent.type(field, text);
  }
  await userEvent.click(screen.getByRole("button", { name: texts.account.change }));
}

beforeEach(() => {
  call.mockReset();
  render(
    <QueryClientProvider client={makeQueryClient()}>
      <PasswordForm username="ann" />
    </QueryClientProvider>,
  );
});

describe("changing one's password", () => {
  it("shows the rules before anything is typed", () => {
    expect(fresh()).toHaveAccessibleDescription(texts.newPassword.help);
  });

  it("asks the server for nothing that it would refuse anyway", async () => {
    await submit("old one", "short", "other");
    expect(fresh()).toBeInvalid();
    expect(repeat()).toHaveAccessibleDescription(texts.newPassword.mismatch);
    expect(fresh()).toHaveFocus();
    expect(call).not.toHaveBeenCalled();
  });

  it.each([
    ["/currentPassword", present, "The present password is wrong."],
    ["/newPassword", fresh, "something else"],
  ])("shows what the server says of %s at the field", async (path, field, message) => {
    call.mockRejectedValue(refusal(403, path, message));
    await submit("old one", "a better one", "a better one");
    await waitFor(() => expect(field()).toHaveFocus());
    expect(field()).toHaveAccessibleDescription(expect.stringContaining(message));
    expect(screen.queryByRole("alert")).not.toBeInTheDocument();
  });

  it("says anything else above the form", async () => {
    call.mockRejectedValue(new ApiProblem(429, null, 30));
    await submit("old one", "a better one", "a better one");
    expect(await screen.findByRole("alert")).toHaveTextContent(texts.signIn.limited(30));
  });

  it("tells what came of it and forgets what was typed", async () => {
    call.mockResolvedValue(undefined as never);
    await submit("old one", "a better one", "a better one");
    await waitFor(() => expect(screen.getByRole("status")).toHaveTextContent(texts.account.doneLead));
    expect(call).toHaveBeenCalledExactlyOnceWith(
      { currentPassword: "old one", newPassword: "a better one" },
      expect.anything(),
    );
    for (const field of [present(), fresh(), repeat()]) expect(field).toHaveValue("");
  });

  it("takes back the success when the next attempt fails", async () => {
    call.mockResolvedValueOnce(undefined as never).mockRejectedValue(refusal(403, "/currentPassword", "wrong"));
    await submit("old one", "a better one", "a better one");
    await waitFor(() => expect(screen.getByRole("status")).not.toBeEmptyDOMElement());
    await submit("old one", "a third one", "a third one");
    await waitFor(() => expect(present()).toBeInvalid());
    expect(screen.getByRole("status")).toBeEmptyDOMElement();
  });
});
