import { act, render, screen, within } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { describe, expect, it, vi } from "vitest";
import type { PluginConfig } from "@/api/plugin-admin";
import { ApiProblem } from "@/api/problem";
import { kindOf, labelOf } from "./schema";
import { SettingsForm, type SettingsFormProps } from "./settings-form";

const schema = {
  type: "object",
  required: ["greeting"],
  properties: {
    greeting: { type: "string", description: "How people are greeted.", default: "Hello" },
    token: { type: "string", "x-secret": true },
    maxItems: { type: "integer", minimum: 1, default: 10 },
    verbose: { type: "boolean" },
    language: { enum: ["en", "de"] },
    sources: {
      type: "array",
      items: {
        type: "object",
        required: ["url"],
        properties: { url: { type: "string", format: "uri" }, weight: { type: "number" } },
      },
    },
    extra: { oneOf: [{ type: "string" }, { type: "object" }] },
  },
};

const config = (rest: Partial<PluginConfig> = {}): PluginConfig => ({
  schema,
  values: { greeting: "Hi" },
  secrets: { token: true },
  notified: null,
  ...rest,
});

function show(given: PluginConfig, saving: SettingsFormProps["onSave"] = async () => given) {
  const onSave = vi.fn(saving);
  const onDirty = vi.fn();
  const form = (now: PluginConfig) => <SettingsForm config={now} onSave={onSave} onDirty={onDirty} />;
  const { rerender } = render(form(given));
  return {
    onSave,
    onDirty,
    user: userEvent.setup(),
    rerender: (now: PluginConfig) => rerender(form(now)),
  };
}

const save = () => screen.getByRole("button", { name: "Save settings" });

describe("the form of a plugin's settings", () => {
  it("has a field for each kind, and nothing to save before something is changed", () => {
    const { onDirty } = show(config());
    expect(screen.getByRole("textbox", { name: "Greeting" })).toHaveValue("Hi");
    expect(screen.getByRole("spinbutton", { name: "Max items (optional)" })).toHaveAttribute("placeholder", "10");
    expect(screen.getByRole("checkbox", { name: "Verbose" })).not.toBeChecked();
    expect(screen.getByRole("combobox", { name: "Language (optional)" })).toHaveDisplayValue("Not set");
    expect(screen.getByRole("group", { name: "Sources" })).toHaveTextContent("No entries.");
    expect(save()).toHaveAttribute("aria-disabled", "true");
    expect(onDirty).toHaveBeenLastCalledWith(false);
  });

  it("sends what was set, entries of lists too, and leaves out what was emptied", async () => {
    const { onSave, user, onDirty } = show(config());
    await user.clear(screen.getByRole("textbox", { name: "Greeting" }));
    await user.type(screen.getByRole("spinbutton", { name: "Max items (optional)" }), "25");
    await user.click(screen.getByRole("checkbox", { name: "Verbose" }));
    await user.selectOptions(screen.getByRole("combobox", { name: "Language (optional)" }), "de");
    const sources = screen.getByRole("group", { name: "Sources" });
    await user.click(within(sources).getByRole("button", { name: "Add an entry" }));
    await user.click(within(sources).getByRole("button", { name: "Add an entry" }));
    await user.type(within(sources).getAllByRole("textbox", { name: "Url" })[1] as HTMLElement, "http://b.test/");
    await user.click(within(sources).getByRole("button", { name: "Remove Sources 1" }));
    expect(onDirty).toHaveBeenLastCalledWith(true);
    await user.click(save());
    expect(onSave).toHaveBeenCalledExactlyOnceWith({
      maxItems: 25,
      verbose: true,
      language: "de",
      sources: [{ url: "http://b.test/" }],
    });
  });

  it("keeps the focus while entries come and go: in the new one, then at what follows", async () => {
    const { user } = show(config());
    const sources = within(screen.getByRole("group", { name: "Sources" }));
    const add = sources.getByRole("button", { name: "Add an entry" });
    add.focus();
    await user.keyboard("{Enter}");
    expect(sources.getByRole("textbox", { name: "Url" })).toHaveFocus();
    await user.click(add);
    expect(sources.getAllByRole("textbox", { name: "Url" })[1]).toHaveFocus();
    sources.getByRole("button", { name: "Remove Sources 1" }).focus();
    await user.keyboard("{Enter}");
    expect(sources.getByRole("button", { name: "Remove Sources 1" })).toHaveFocus();
    await user.keyboard("{Enter}");
    expect(add).toHaveFocus();
  });

  it("never shows a secret: it stays, is replaced, or is removed", async () => {
    const { onSave, user } = show(config());
    expect(screen.getByText("A value is stored. It is never shown.")).toBeInTheDocument();
    await user.click(screen.getByRole("button", { name: "Remove Token" }));
    await user.click(save());
    expect(onSave).toHaveBeenLastCalledWith({ greeting: "Hi", token: null });
    await user.click(screen.getByRole("button", { name: "Replace Token" }));
    await user.type(screen.getByLabelText("Token (optional)"), "s3cret");
    await user.click(save());
    expect(onSave).toHaveBeenLastCalledWith({ greeting: "Hi", token: "s3cret" });
  });

  it("puts what the server says at its field and goes there", async () => {
    const problem = new ApiProblem(422, {
      type: "/problems/validation",
      title: "Validation",
      status: 422,
      detail: "The settings do not fit the plugin's schema.",
      errors: [{ path: "/values/greeting", message: "'' is too short" }],
    });
    const { user } = show(config(), async () => Promise.reject(problem));
    const greeting = screen.getByRole("textbox", { name: "Greeting" });
    await user.type(greeting, "!");
    await user.click(save());
    expect(await screen.findByRole("alert")).toHaveTextContent("Nothing was saved");
    expect(greeting).toBeInvalid();
    expect(greeting).toHaveAccessibleDescription(/is too short/);
    expect(greeting).toHaveFocus();
    await user.click(screen.getByRole("button", { name: "Discard changes" }));
    expect(screen.getByRole("textbox", { name: "Greeting" })).toHaveValue("Hi");
  });

  it("saves nothing that was not changed", async () => {
    const { onSave, user } = show(config());
    await user.click(save());
    expect(onSave).not.toHaveBeenCalled();
  });

  it("keeps the focus, whatever is pressed by keyboard", async () => {
    const stored = config({ values: { greeting: "Hi!" } });
    const { user, rerender } = show(config(), async () => {
      rerender(stored);
      return stored;
    });
    const greeting = screen.getByRole("textbox", { name: "Greeting" });
    await user.type(greeting, "!{Enter}");
    await screen.findByText(/^Saved/);
    expect(greeting).toHaveFocus();

    await user.click(screen.getByRole("button", { name: "Remove Token" }));
    const keep = screen.getByRole("button", { name: "Keep Token" });
    expect(keep).toHaveFocus();
    await user.keyboard("{Enter}");
    expect(screen.getByRole("button", { name: "Replace Token" })).toHaveFocus();
    await user.keyboard("{Enter}");
    expect(screen.getByLabelText("Token (optional)")).toHaveFocus();
    await user.keyboard("s3cret");
    await user.click(screen.getByRole("button", { name: "Discard changes" }));
    expect(save()).toHaveFocus();

    await user.click(screen.getByRole("button", { name: "Replace Token" }));
    await user.keyboard("s3cret{Enter}");
    await screen.findByText(/^Saved/);
    expect(save()).toHaveFocus();
  });

  it("goes back to a stored secret's buttons, with the focus, when its replacement is emptied", async () => {
    const { user, onDirty } = show(config());
    await user.click(screen.getByRole("button", { name: "Replace Token" }));
    await user.keyboard("s{Backspace}");
    expect(screen.getByRole("button", { name: "Replace Token" })).toHaveFocus();
    expect(onDirty).toHaveBeenLastCalledWith(false);
  });

  describe("while a save is under way", () => {
    /** A save that ends when it is told to; what is stored then lacks the secret, as the server's answers do. */
    function showSaving() {
      let end = () => {};
      const ended = new Promise<void>((resolve) => {
        end = resolve;
      });
      const shown = show(config({ values: { greeting: "Hi", extra: {} } }), async ({ token: _, ...values }) => {
        await ended;
        const stored = config({ values });
        shown.rerender(stored);
        return stored;
      });
      return { ...shown, end: () => act(async () => end()) };
    }

    const greeting = () => screen.getByRole("textbox", { name: "Greeting" });
    const extra = () => screen.getByRole("textbox", { name: "Extra (optional)" });

    it("keeps what is typed, to be saved next", async () => {
      const { user, onDirty, onSave, end } = showSaving();
      await user.click(screen.getByRole("button", { name: "Replace Token" }));
      await user.keyboard("s3cret");
      await user.type(greeting(), "!{Enter}");
      await user.type(greeting(), "?");
      await user.clear(extra());
      await user.type(extra(), "[[1]");
      await end();
      expect(greeting()).toHaveValue("Hi!?");
      expect(extra()).toHaveValue("[1]");
      expect(onDirty).toHaveBeenLastCalledWith(true);
      expect(screen.getByText(/not saved/i)).toBeInTheDocument();
      await user.click(save());
      expect(onSave).toHaveBeenLastCalledWith({ greeting: "Hi!?", extra: [1], token: "s3cret" });
    });

    it("keeps what is no JSON yet as well", async () => {
      const { user, end } = showSaving();
      await user.click(screen.getByRole("button", { name: "Replace Token" }));
      await user.keyboard("s3cret{Enter}");
      await user.type(extra(), ",");
      await end();
      expect(extra()).toHaveValue("{},");
      expect(extra()).toBeInvalid();
    });
  });

  it("does not save while a field holds no JSON", async () => {
    const { onSave, user } = show(config());
    const extra = screen.getByRole("textbox", { name: "Extra (optional)" });
    await user.type(screen.getByRole("textbox", { name: "Greeting" }), "!");
    await user.type(extra, "not json");
    expect(extra).toBeInvalid();
    await user.click(save());
    expect(onSave).not.toHaveBeenCalled();
    expect(extra).toHaveFocus();
  });
});

describe("schemas", () => {
  it.each([
    [{ type: "string" }, "text"],
    [{ type: "array", items: { type: "string" } }, "list"],
    [{ type: "array", items: { type: "array" } }, "json"],
    [{ type: ["string", "null"] }, "json"],
    [{ $ref: "#/$defs/x" }, "json"],
    [{ type: "object" }, "json"],
    [{ type: "object", properties: {} }, "group"],
    [{}, "json"],
  ] as const)("%j is a %s", (part, kind) => {
    expect(kindOf(part as never)).toBe(kind);
  });

  it("names a setting in words", () => {
    expect(labelOf("apiBaseUrl", {})).toBe("Api base url");
    expect(labelOf("max_items", {})).toBe("Max items");
    expect(labelOf("x", { title: "The X" })).toBe("The X");
  });
});
