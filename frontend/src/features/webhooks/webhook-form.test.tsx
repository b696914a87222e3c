import { QueryClientProvider } from "@tanstack/react-query";
import { render, screen } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { beforeEach, describe, expect, it, vi } from "vitest";
import { ApiProblem } from "@/api/problem";
import { createWebhook, updateWebhook } from "@/api/webhooks";
import { makeQueryClient } from "@/query-client";
import { texts } from "@/texts";
import { patternsOf, WebhookForm } from "./webhook-form";

vi.mock("@/api/webhooks", async (original) => ({
  ...(await original<object>()),
  createWebhook: vi.fn(),
  updateWebhook: vi.fn(),
}));
const create = vi.mocked(createWebhook);
const update = vi.mocked(updateWebhook);
const { webhooks } = texts;

const hook = {
  id: "w1",
  subscriber: "webhook:w1",
  name: "chat",
  url: "https://chat.test/hook",
  patterns: ["io.nimbus.media.**"],
  enabled: true,
  createdBy: "user:1",
  createdAt: "2026-01-01T00:00:00Z",
};
const onMade = vi.fn();
const onClose = vi.fn();

function show(given?: typeof hook) {
  render(
    <QueryClientProvider client={makeQueryClient()}>
      <WebhookForm {...(given && { webhook: given })} onMade={onMade} onClose={onClose} />
    </QueryClientProvider>,
  );
}
const field = (label: string) => screen.getByLabelText(label);
const press = (name: string) => userEvent.click(screen.getByRole("button", { name }));

beforeEach(() => {
  vi.resetAllMocks();
  // jsdom has dialogs that do not open.
  HTMLDialogElement.prototype.showModal = function showModal() {
    this.open = true;
  };
});

it("reads types of events however they are parted", () => {
  expect(patternsOf(" io.nimbus.**\n\nplugin.a.*, plugin.a.* ")).toEqual(["io.nimbus.**", "plugin.a.*"]);
  expect(patternsOf(" \n ")).toEqual([]);
});

describe("the form of a webhook", () => {
  it("adds one, and hands its secret on", async () => {
    const made = { ...hook, secret: "whsec_x" };
    create.mockResolvedValue(made);
    show();
    await userEvent.type(field(webhooks.name), "chat");
    await userEvent.type(field(webhooks.url), "https://chat.test/hook");
    await press(webhooks.make);
    expect(create).toHaveBeenCalledWith({
      name: "chat",
      url: "https://chat.test/hook",
      patterns: [webhooks.everything],
    });
    expect(onMade).toHaveBeenCalledWith(made);
    expect(onClose).not.toHaveBeenCalled();
  });

  it("asks for a type of events before it calls", async () => {
    show(hook);
    await userEvent.clear(field(webhooks.patterns));
    await press(webhooks.save);
    expect(field(webhooks.patterns)).toHaveAccessibleDescription(new RegExp(webhooks.noPattern));
    expect(update).not.toHaveBeenCalled();
  });

  it("says at the field what was refused, also for one entry of a list", async () => {
    update.mockRejectedValue(
      new ApiProblem(422, {
        type: "/problems/validation",
        title: "x",
        status: 422,
        detail: "x",
        errors: [{ path: "/patterns/0", message: "not a pattern" }],
      }),
    );
    show(hook);
    await press(webhooks.save);
    expect(await screen.findByText("not a pattern")).toBeVisible();
    expect(field(webhooks.patterns)).toBeInvalid();
    expect(screen.queryByRole("alert")).toBeNull();
  });
});
