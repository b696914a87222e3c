import { QueryClientProvider } from "@tanstack/react-query";
import { createMemoryHistory, RouterProvider } from "@tanstack/react-router";
import { render, screen } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { beforeEach, describe, expect, it, vi } from "vitest";
import { client as calls } from "@/api/generated/client.gen";
import { makeQueryClient } from "@/query-client";
import { makeRouter } from "@/router";
import { texts } from "@/texts";

const { invitation } = texts;

/** What the gateway answers, by method and path. */
let answers: Record<string, [number, unknown]>;
let sent: Record<string, unknown>;

function open(address: string) {
  const client = makeQueryClient();
  const router = makeRouter(client);
  router.update({ ...router.options, history: createMemoryHistory({ initialEntries: [address] }) } as never);
  render(
    <QueryClientProvider client={client}>
      <RouterProvider router={router} />
    </QueryClientProvider>,
  );
}

beforeEach(() => {
  sent = {};
  answers = {
    "GET /api/auth/me": [401, { type: "/problems/unauthenticated", title: "x", status: 401 }],
    "POST /api/auth/invitation": [200, { role: "user", expiresAt: "2026-12-01T10:00:00Z" }],
  };
  vi.stubGlobal("scrollTo", () => undefined);
  calls.setConfig({
    baseUrl: "http://nimbus.test",
    fetch: async (input) => {
      const request = input as Request;
      const call = `${request.method} ${new URL(request.url).pathname}`;
      if (request.method === "POST") sent[call] = await request.clone().json();
      const [status, body] = answers[call] ?? [503, { type: "/problems/x", title: call, status: 503 }];
      return Response.json(body, { status });
    },
  });
});

describe("the page of an invitation", () => {
  it("asks with the code behind the #, and makes the account with it", async () => {
    answers["POST /api/auth/invitation/accept"] = [
      422,
      {
        type: "/problems/validation",
        title: "x",
        status: 422,
        errors: [{ path: "/username", message: "It is taken." }],
      },
    ];
    open("/invitation#secret-code");
    expect(await screen.findByRole("heading", { name: invitation.title })).toBeVisible();
    expect(await screen.findByText(invitation.lead.user)).toBeVisible();
    await userEvent.type(screen.getByLabelText(texts.signIn.username), "ann");
    await userEvent.type(screen.getByLabelText(texts.signIn.password), "long enough");
    await userEvent.type(screen.getByLabelText(texts.newPassword.repeat), "long enough");
    await userEvent.click(screen.getByRole("button", { name: invitation.submit }));
    expect(await screen.findByText("It is taken.")).toBeVisible();
    expect(sent).toEqual({
      "POST /api/auth/invitation": { code: "secret-code" },
      "POST /api/auth/invitation/accept": { code: "secret-code", username: "ann", password: "long enough" },
    });
  });

  it("says that a code is none, and where to go", async () => {
    answers["POST /api/auth/invitation"] = [404, { type: "/problems/not-found", title: "x", status: 404 }];
    open("/invitation#old");
    expect(await screen.findByRole("heading", { name: invitation.badTitle })).toBeVisible();
    expect(screen.getByRole("link", { name: invitation.signIn })).toHaveAttribute("href", "/sign-in");
  });

  it("does not ask without a code", async () => {
    open("/invitation");
    expect(await screen.findByText(invitation.noCode)).toBeVisible();
    expect(sent).toEqual({});
  });
});
