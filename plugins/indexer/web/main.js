// The page of the Indexer: search, hand a release to a downloader, and, for administrators, the servers. A native ES
// module without a build step; React and @nimbus/ui are the dashboard's own.
import { Alert, Badge, Button, Card, Field, Heading, Page, Spinner, Stack, Text, readAnswer, useApi } from "@nimbus/ui";
import { createElement as h, useState } from "react";

const STYLE = new URL("./main.css", import.meta.url).href;
const json = (method, body) => ({ method, headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });

const size = (bytes) => {
  const units = ["bytes", "KiB", "MiB", "GiB", "TiB"];
  const step = Math.min(Math.floor(Math.log2(bytes) / 10), units.length - 1);
  return `${(bytes / 1024 ** step).toFixed(step ? 1 : 0)} ${units[step]}`;
};

function Release({ api, release }) {
  const [state, setState] = useState({ busy: false });
  async function grab() {
    setState({ busy: true });
    try {
      const made = await readAnswer(await api(`releases/${release.id}/grab`, json("POST", {})));
      setState({ done: `${made.provider} downloads it.` });
    } catch (problem) {
      setState({ error: problem.message });
    }
  }
  const facts = [
    release.size && size(release.size),
    release.seeders && `${release.seeders} seeders`,
    release.published && new Date(release.published).toLocaleDateString(),
    [release.server, ...release.also].join(", "),
  ].filter(Boolean);
  return h(
    "li",
    null,
    h(
      "div",
      { className: "indexer-row" },
      h("span", { className: "indexer-title" }, release.title),
      h(Button, { size: "small", busy: state.busy, onClick: grab, "aria-label": `Download ${release.title}` }, "Download"),
    ),
    h(Text, { muted: true }, facts.join(" · ")),
    h(
      "div",
      { "aria-live": "polite" },
      state.done && h(Alert, null, state.done),
      state.error && h(Alert, { level: "error", title: "It was not handed on" }, state.error),
    ),
  );
}

function Search({ api }) {
  const [words, setWords] = useState("");
  const [state, setState] = useState({ busy: false });
  async function search(event) {
    event.preventDefault();
    setState({ busy: true });
    try {
      setState({ result: await readAnswer(await api(`search?q=${encodeURIComponent(words)}`)) });
    } catch (problem) {
      setState({ error: problem.message });
    }
  }
  const { result } = state;
  const failed = result?.servers.filter((server) => server.error) ?? [];
  return h(
    Card,
    { "aria-label": "Search" },
    h(
      Stack,
      null,
      h(
        "form",
        { onSubmit: search, className: "indexer-form" },
        h(
          Stack,
          null,
          h(Field, { label: "Search", type: "search", value: words, help: "Leave it empty for the newest.", onChange: (event) => setWords(event.target.value) }),
          h("div", null, h(Button, { type: "submit", variant: "primary", busy: state.busy }, "Search")),
        ),
      ),
      state.busy && h(Spinner, { label: "Asking the servers" }),
      state.error && h(Alert, { level: "error", title: "The search failed" }, state.error),
      ...failed.map((server) => h(Alert, { key: server.name, level: "warning", title: `${server.name} did not answer` }, server.error)),
      h("p", { role: "status" }, result ? `${result.items.length} releases of ${result.servers.length} servers.` : ""),
      result && h("ul", { className: "indexer-list" }, ...result.items.map((release) => h(Release, { key: release.id, api, release }))),
    ),
  );
}

function ServerCard({ api, server, onChanged }) {
  const [tested, setTested] = useState(null);
  const [busy, setBusy] = useState(false);
  const [removing, setRemoving] = useState(false);
  async function call(path, options) {
    setBusy(true);
    try {
      return await readAnswer(await api(path, options));
    } catch (problem) {
      return { ok: false, detail: problem.message };
    } finally {
      setBusy(false);
    }
  }
  return h(
    "li",
    null,
    h(
      "div",
      { className: "indexer-row" },
      h("span", { className: "indexer-title" }, server.name),
      h(Badge, null, server.kind),
      h(Button, { size: "small", busy, onClick: async () => setTested(await call(`servers/${server.name}/test`, { method: "POST" })), "aria-label": `Test ${server.name}` }, "Test"),
      removing
        ? h(Button, { size: "small", variant: "danger", onClick: async () => onChanged(await call(`servers/${server.name}`, { method: "DELETE" })) }, `Really remove ${server.name}`)
        : h(Button, { size: "small", variant: "ghost", onClick: () => setRemoving(true), "aria-label": `Remove ${server.name}` }, "Remove"),
    ),
    h(Text, { muted: true }, server.url),
    h("div", { "aria-live": "polite" }, tested && h(Alert, { level: tested.ok ? "info" : "error", title: tested.ok ? "It works" : "It does not work" }, tested.detail)),
  );
}

const EMPTY = { name: "", url: "", kind: "newznab", key: "", categories: "" };

function Servers({ api }) {
  const { data, error, reload } = useApi("servers");
  const [server, setServer] = useState(EMPTY);
  const [problem, setProblem] = useState(null);
  const field = (name, label, more) =>
    h(Field, { label, value: server[name], onChange: (event) => setServer({ ...server, [name]: event.target.value }), ...more });
  async function save(event) {
    event.preventDefault();
    setProblem(null);
    try {
      const kind = /torznab/i.test(server.url) ? "torznab" : "newznab";
      const categories = server.categories.split(",").map((one) => Number(one.trim())).filter(Boolean);
      await readAnswer(await api(`servers/${encodeURIComponent(server.name)}`, json("PUT", { ...server, kind, categories })));
      setServer(EMPTY);
      await reload();
    } catch (refused) {
      setProblem(refused.message);
    }
  }
  return h(
    Card,
    { "aria-label": "Servers" },
    h(
      Stack,
      null,
      h(Heading, { level: 2 }, "Servers"),
      error && h(Alert, { level: "error", title: "The servers cannot be read" }, error.message),
      data?.items.length === 0 && h(Text, { muted: true }, "There are none yet; nothing can be found."),
      data && h("ul", { className: "indexer-list" }, ...data.items.map((one) => h(ServerCard, { key: one.name, api, server: one, onChanged: reload }))),
      h(
        "form",
        { onSubmit: save, className: "indexer-form" },
        h(
          Stack,
          null,
          h(Heading, { level: 3 }, "Add a server"),
          field("name", "Name", { required: true, pattern: "[a-z0-9][a-z0-9\\-]*", help: "Lower-case letters, digits, hyphens." }),
          field("url", "Address", { required: true, type: "url", placeholder: "https://…/api" }),
          field("key", "API key", { type: "password", autoComplete: "off" }),
          field("categories", "Categories", { help: "Numbers with commas between, such as 2000, 5000; empty for all." }),
          problem && h(Alert, { level: "error", title: "It was not saved", urgent: true }, problem),
          h("div", null, h(Button, { type: "submit" }, "Save")),
        ),
      ),
    ),
  );
}

export default function Indexer({ api, plugin, user }) {
  return h(
    Page,
    { title: plugin.name, lead: "Search all servers at once, the best first." },
    h("link", { rel: "stylesheet", href: STYLE, precedence: "default" }),
    h(Search, { api }),
    user.role === "admin" && h(Servers, { api }),
  );
}
