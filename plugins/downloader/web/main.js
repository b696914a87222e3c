// The page of the Downloader: add an address, watch it, pause and cancel. A native ES module without a build step;
// React and @nimbus/ui are the dashboard's own. Progress comes as server-sent events.
import { Alert, Badge, Button, Card, Field, Heading, Page, Spinner, Stack, Text, readAnswer, useApi } from "@nimbus/ui";
import { createElement as h, useEffect, useState } from "react";

const STYLE = new URL("./main.css", import.meta.url).href;
const TONES = { running: "busy", completed: "positive", failed: "danger", paused: "warning" };
const ENDED = ["completed", "failed", "canceled"];

const size = (bytes) => {
  const units = ["bytes", "KiB", "MiB", "GiB", "TiB"];
  const step = bytes > 0 ? Math.min(Math.floor(Math.log2(bytes) / 10), units.length - 1) : 0;
  return `${(bytes / 1024 ** step).toFixed(step ? 1 : 0)} ${units[step]}`;
};

const left = (seconds) => {
  if (seconds < 60) return `${Math.ceil(seconds)} s left`;
  if (seconds < 5400) return `${Math.ceil(seconds / 60)} min left`;
  return `${Math.round(seconds / 3600)} h left`;
};

/** What runs now by id, and a count that grows when something starts or ends. */
function useProgress(api) {
  const [state, setState] = useState({ now: {}, changes: 0 });
  useEffect(() => {
    const call = new AbortController();
    let timer;
    async function read() {
      try {
        const answer = await api("progress", { signal: call.signal });
        const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
        let text = "";
        for (;;) {
          const { done, value } = await reader.read();
          if (done) break;
          text += value;
          const frames = text.split("\n\n");
          text = frames.pop();
          for (const frame of frames) {
            const line = frame.split("\n").find((one) => one.startsWith("data: "));
            if (!line) continue;
            const now = Object.fromEntries(JSON.parse(line.slice(6)).map((one) => [one.id, one]));
            setState((before) => {
              const same = Object.keys(before.now).join() === Object.keys(now).join();
              return { now, changes: before.changes + (same ? 0 : 1) };
            });
          }
        }
      } catch (error) {
        if (call.signal.aborted) return;
      }
      timer = setTimeout(read, 3000);
    }
    read();
    return () => {
      call.abort();
      clearTimeout(timer);
    };
  }, [api]);
  return state;
}

function Adder({ api, onAdded }) {
  const [url, setUrl] = useState("");
  const [checksum, setChecksum] = useState("");
  const [error, setError] = useState(null);
  const [busy, setBusy] = useState(false);

  async function add(event) {
    event.preventDefault();
    setBusy(true);
    setError(null);
    try {
      const body = JSON.stringify({ url, ...(checksum ? { checksum } : {}) });
      await readAnswer(await api("downloads", { method: "POST", headers: { "Content-Type": "application/json" }, body }));
      setUrl("");
      setChecksum("");
      await onAdded();
    } catch (problem) {
      setError(problem.message);
    }
    setBusy(false);
  }

  return h(
    Card,
    { "aria-label": "New download" },
    h(
      "form",
      { onSubmit: add, className: "downloader-form" },
      h(
        Stack,
        null,
        h(Field, { label: "Address", type: "url", required: true, value: url, placeholder: "https://…", onChange: (event) => setUrl(event.target.value) }),
        h(Field, { label: "Checksum", value: checksum, help: "Optional, such as sha256:…; a damaged file is refused.", onChange: (event) => setChecksum(event.target.value) }),
        error && h(Alert, { level: "error", title: "It was not added", urgent: true }, error),
        h("div", null, h(Button, { type: "submit", variant: "primary", busy }, "Download")),
      ),
    ),
  );
}

function Item({ item, now, api, admin, onChanged, onError }) {
  const done = now?.done_bytes ?? item.doneBytes;
  const total = now?.total_bytes ?? item.totalBytes;
  const speed = now?.speed ?? 0;
  const facts = [
    total ? `${size(done)} of ${size(total)}` : done > 0 && size(done),
    speed > 0 && `${size(speed)}/s`,
    speed > 0 && total && left((total - done) / speed),
    item.state === "failed" && item.error,
  ].filter(Boolean);

  async function act(action) {
    try {
      await readAnswer(await api(`downloads/${item.id}/${action}`, { method: "POST" }));
      await onChanged();
    } catch (problem) {
      onError(problem.message);
    }
  }
  const button = (action, label) =>
    h(Button, { key: action, size: "small", variant: "ghost", onClick: () => act(action), "aria-label": `${label} ${item.title}` }, label);
  const ended = ENDED.includes(item.state);
  const actions = ended
    ? item.state !== "completed" && [button("retry", "Try again")]
    : [
        item.wanted === "pause" ? button("resume", "Resume") : button("pause", "Pause"),
        item.position > 0 && button("first", "First"),
        button("cancel", "Cancel"),
      ];

  return h(
    "li",
    null,
    h(
      "div",
      { className: "downloader-row" },
      h("span", { className: "downloader-title" }, item.title),
      h(Badge, { tone: TONES[item.state] }, item.state),
      admin && actions,
    ),
    !ended && h("progress", { "aria-label": item.title, max: total || 1, value: total ? done : undefined }),
    facts.length > 0 && h(Text, { muted: true }, facts.join(" · ")),
  );
}

export default function Downloads({ api, plugin, user }) {
  const { data, error, loading, reload } = useApi("downloads");
  const { now, changes } = useProgress(api);
  const [said, setSaid] = useState(null);
  const admin = user.role === "admin";
  useEffect(() => {
    if (changes > 0) reload();
  }, [changes, reload]);

  return h(
    Page,
    { title: plugin.name, lead: "Files that are being fetched, and those that were." },
    h("link", { rel: "stylesheet", href: STYLE, precedence: "default" }),
    admin && h(Adder, { api, onAdded: reload }),
    error && h(Alert, { level: "error", title: "The downloads cannot be read" }, error.message),
    said && h(Alert, { level: "error", title: "That did not work", urgent: true }, said),
    h(
      Card,
      { "aria-label": "Downloads" },
      h(
        Stack,
        null,
        h(Heading, { level: 2 }, "Downloads"),
        loading && !data && h(Spinner, { label: "Loading" }),
        data?.items.length === 0 && h(Text, { muted: true }, "Nothing was downloaded yet."),
        data &&
          h(
            "ul",
            { className: "downloader-list" },
            ...data.items.map((item) =>
              h(Item, { key: item.id, item, now: now[item.id], api, admin, onChanged: reload, onError: setSaid }),
            ),
          ),
      ),
    ),
  );
}
