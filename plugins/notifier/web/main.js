// The page of the Notifier: targets with a test button, and what was sent. A native ES module without a build step;
// React and @nimbus/ui are the dashboard's own.
import { Alert, Badge, Button, Card, Field, Heading, Page, Spinner, Stack, Text, readAnswer, useApi } from "@nimbus/ui";
import { createElement as h, useEffect, useId, useState } from "react";

const KINDS = {
  webhook: "Webhook",
  discord: "Discord",
  ntfy: "ntfy",
  email: "E-mail",
};
const SECRET = {
  webhook: ["Signing secret", "Signs each call by Standard Webhooks; may be empty."],
  discord: ["Address of the webhook", "Whole, as Discord shows it: https://discord.com/api/webhooks/…"],
  ntfy: ["Access token", "Only when the topic is protected."],
  email: ["Password", "Of the user at the mail server."],
};
const EMPTY = {
  name: "",
  kind: "webhook",
  enabled: true,
  events: [
    "io.nimbus.media.created.v1",
    "io.nimbus.download.completed.v1",
    "io.nimbus.download.failed.v1",
    "plugin.*.notify",
  ],
  filters: {},
  title: "",
  message: "",
  url: "",
  topic: "",
  priority: 3,
  smtp_host: "",
  smtp_port: 587,
  smtp_security: "starttls",
  smtp_user: "",
  mail_from: "",
  mail_to: [],
};
const lines = (text) =>
  text
    .split(/[\n,]/)
    .map((line) => line.trim())
    .filter(Boolean);

/** A choice or a longer text with its label, dressed like the dashboard's fields. */
function Labelled({ label, help, tag = "select", children, ...props }) {
  const id = useId();
  return h(
    "div",
    { className: "notifier-field" },
    h("label", { htmlFor: id }, label),
    h(tag, { id, "aria-describedby": help ? `${id}-help` : undefined, ...props }, children),
    help && h("p", { id: `${id}-help` }, help),
  );
}

/** The form for one target; `start` is null for a new one. */
function Editor({ api, start, onDone }) {
  const [target, setTarget] = useState(start ?? EMPTY);
  const [secret, setSecret] = useState("");
  const [mailTo, setMailTo] = useState((start?.mail_to ?? []).join(", "));
  const [events, setEvents] = useState((start ?? EMPTY).events.join("\n"));
  const [filters, setFilters] = useState(
    Object.entries(start?.filters ?? {})
      .map(([path, pattern]) => `${path}=${pattern}`)
      .join("\n"),
  );
  const [error, setError] = useState(null);
  const [busy, setBusy] = useState(false);
  const set = (name) => (event) => setTarget({ ...target, [name]: event.target.value });
  const field = (name, label, more = {}) => h(Field, { label, value: target[name], onChange: set(name), ...more });
  const { kind } = target;

  async function save(event) {
    event.preventDefault();
    setBusy(true);
    setError(null);
    const { has_secret: _, ...known } = target;
    const body = {
      ...known,
      priority: Number(target.priority),
      smtp_port: Number(target.smtp_port),
      mail_to: lines(mailTo),
      events: lines(events),
      filters: Object.fromEntries(
        lines(filters).map((line) => [line.split("=")[0].trim(), line.split("=").slice(1).join("=").trim()]),
      ),
      ...(secret ? { secret } : {}),
    };
    try {
      const options = { method: "PUT", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) };
      await readAnswer(await api(`targets/${encodeURIComponent(target.name)}`, options));
      onDone(`${target.name} is saved.`);
    } catch (problem) {
      const wrong = problem.problem?.errors?.map((one) => one.message).join("; ");
      setError(wrong ? `${problem.message} ${wrong}` : problem.message);
      setBusy(false);
    }
  }

  return h(
    Card,
    { "aria-label": start ? `Change ${start.name}` : "New target" },
    h(
      "form",
      { onSubmit: save, className: "notifier-form" },
      h(
        Stack,
        null,
        h(Heading, { level: 2 }, start ? start.name : "New target"),
        !start && field("name", "Name", { required: true, pattern: "[a-z0-9][a-z0-9\\-]*", help: "Lower-case letters, digits, hyphens." }),
        h(
          Labelled,
          { label: "Kind", value: kind, onChange: set("kind") },
          ...Object.entries(KINDS).map(([value, label]) => h("option", { key: value, value }, label)),
        ),
        kind === "webhook" && field("url", "Address", { type: "url", required: true }),
        kind === "ntfy" && field("url", "Server", { type: "url", required: true, placeholder: "https://ntfy.sh" }),
        kind === "ntfy" && field("topic", "Topic", { required: true }),
        kind === "ntfy" && field("priority", "Priority", { type: "number", min: 1, max: 5 }),
        kind === "email" && field("smtp_host", "Mail server", { required: true }),
        kind === "email" && field("smtp_port", "Port", { type: "number", min: 1, max: 65535 }),
        kind === "email" &&
          h(
            Labelled,
            { label: "Encryption", value: target.smtp_security, onChange: set("smtp_security") },
            h("option", { value: "starttls" }, "STARTTLS"),
            h("option", { value: "tls" }, "TLS"),
            h("option", { value: "none" }, "None"),
          ),
        kind === "email" && field("smtp_user", "User name"),
        kind === "email" && field("mail_from", "From", { type: "email", required: true }),
        kind === "email" &&
          h(Field, { label: "To", value: mailTo, required: true, help: "Addresses, with commas between.", onChange: (event) => setMailTo(event.target.value) }),
        h(Field, {
          label: SECRET[kind][0],
          type: "password",
          autoComplete: "off",
          value: secret,
          help: start?.has_secret ? "One is stored; leave this empty to keep it." : SECRET[kind][1],
          onChange: (event) => setSecret(event.target.value),
        }),
        h(Labelled, {
          tag: "textarea",
          label: "Events",
          rows: 3,
          value: events,
          help: "A pattern on each line; * is one segment, ** any number.",
          onChange: (event) => setEvents(event.target.value),
        }),
        h(Labelled, {
          tag: "textarea",
          label: "Only when",
          rows: 2,
          value: filters,
          help: "Conditions such as data.kind=movie, one on each line; * stands for any text.",
          onChange: (event) => setFilters(event.target.value),
        }),
        field("title", "Title", { placeholder: "New: {data.title}", help: "Empty: one that fits the event." }),
        h(Labelled, { tag: "textarea", label: "Text", rows: 2, value: target.message, onChange: set("message") }),
        error && h(Alert, { level: "error", title: "It was not saved", urgent: true }, error),
        h(
          "div",
          { className: "notifier-row" },
          h(Button, { type: "submit", variant: "primary", busy }, "Save"),
          h(Button, { variant: "ghost", onClick: () => onDone() }, "Cancel"),
        ),
      ),
    ),
  );
}

function TargetCard({ api, target, onEdit, onChanged }) {
  const [tested, setTested] = useState(null);
  const [busy, setBusy] = useState(false);
  const [removing, setRemoving] = useState(false);

  async function test() {
    setBusy(true);
    try {
      setTested(await readAnswer(await api(`targets/${target.name}/test`, { method: "POST" })));
    } catch (problem) {
      setTested({ ok: false, detail: problem.message });
    }
    setBusy(false);
  }

  async function remove() {
    try {
      await readAnswer(await api(`targets/${target.name}`, { method: "DELETE" }));
      onChanged(`${target.name} is removed.`);
    } catch (problem) {
      setTested({ ok: false, detail: problem.message });
    }
  }

  return h(
    Card,
    { "aria-label": target.name },
    h(
      Stack,
      null,
      h(
        "div",
        { className: "notifier-row" },
        h(Heading, { level: 2 }, target.name),
        h(Badge, null, KINDS[target.kind]),
        !target.enabled && h(Badge, { tone: "warning" }, "Off"),
      ),
      h(Text, { muted: true }, target.events.join(", ")),
      h(
        "div",
        { className: "notifier-row" },
        h(Button, { variant: "primary", busy, onClick: test, "aria-label": `Test ${target.name}` }, "Test"),
        h(Button, { onClick: onEdit, "aria-label": `Change ${target.name}` }, "Change"),
        removing
          ? h(Button, { variant: "danger", onClick: remove }, `Really remove ${target.name}`)
          : h(Button, { variant: "ghost", onClick: () => setRemoving(true), "aria-label": `Remove ${target.name}` }, "Remove"),
      ),
      h(
        "div",
        { "aria-live": "polite" },
        tested &&
          h(Alert, { level: tested.ok ? "info" : "error", title: tested.ok ? "It was sent" : "It was not sent" }, tested.detail),
      ),
    ),
  );
}

const TONES = { sent: "positive", failed: "danger", waiting: "warning" };

function History({ api }) {
  const { data, error, loading, reload } = useApi("history?limit=50");
  useEffect(() => {
    const timer = setInterval(reload, 10000);
    return () => clearInterval(timer);
  }, [reload]);

  async function again(entry) {
    await api(`history/${entry.key.replace("outbox/", "")}/retry`, { method: "POST" });
    await reload();
  }

  if (error) return h(Alert, { level: "error", title: "The history cannot be read" }, error.message);
  if (!data) return loading ? h(Spinner, { label: "Loading" }) : null;
  if (data.items.length === 0) return h(Text, { muted: true }, "Nothing was sent yet.");
  return h(
    "ul",
    { className: "notifier-history" },
    ...data.items.map((entry) =>
      h(
        "li",
        { key: entry.key },
        h(Badge, { tone: TONES[entry.state] }, entry.state),
        h("span", null, h("strong", null, entry.title), ` to ${entry.target}, ${new Date(entry.created).toLocaleString()}`),
        entry.error && h(Text, { muted: true }, entry.error),
        entry.state === "failed" && h(Button, { size: "small", onClick: () => again(entry), "aria-label": `Send ${entry.title} again` }, "Send again"),
      ),
    ),
  );
}

const STYLE = new URL("./main.css", import.meta.url).href;

export default function Notifications({ api, plugin }) {
  const { data, error, loading, reload } = useApi("targets");
  const [editing, setEditing] = useState(null);
  const [said, setSaid] = useState("");

  async function done(message) {
    setEditing(null);
    setSaid(message ?? "");
    if (message) await reload();
  }

  const add = h(Button, { variant: "primary", onClick: () => setEditing("new") }, "Add a target");
  return h(
    Page,
    { title: plugin.name, lead: "Who is told when something happens, and how.", actions: editing ? null : add },
    h("link", { rel: "stylesheet", href: STYLE, precedence: "default" }),
    h("div", { "aria-live": "polite" }, said && h(Alert, null, said)),
    error && h(Alert, { level: "error", title: "The targets cannot be read" }, error.message),
    loading && !data && h(Spinner, { label: "Loading" }),
    editing
      ? h(Editor, { key: editing.name ?? "new", api, start: editing === "new" ? null : editing, onDone: done })
      : data?.items.length === 0
        ? h(Card, null, h(Text, null, "Nobody is told of anything yet. Add a target: a webhook, a Discord channel, a ntfy topic, or e-mail."))
        : data?.items.map((target) =>
            h(TargetCard, { key: target.name, api, target, onEdit: () => setEditing(target), onChanged: done }),
          ),
    h(Card, { "aria-label": "History" }, h(Stack, null, h(Heading, { level: 2 }, "What was sent"), h(History, { api }))),
  );
}
