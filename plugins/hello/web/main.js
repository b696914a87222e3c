// The page of the Hello plugin: a native ES module, as the browser runs it. There is no build step.
//
// "react" and "@nimbus/ui" are the dashboard's own: its import map says where they are, so this file stays small and
// the page has the one React that everything else on screen has. A larger plugin would write JSX and bundle it, with
// these names left as imports.
import { Alert, Button, Card, Columns, Heading, Page, Spinner, Stack, Text, useApi } from "@nimbus/ui";
import { createElement as h } from "react";

/** One of the plugin's routes: what it is for, a button that calls it, and what came back. */
function Call({ title, explanation, label, path, show }) {
  // Lazy: nothing is called before the button is pressed.
  const { data, error, loading, reload } = useApi(path, { lazy: true });
  return h(
    Card,
    { "aria-label": title },
    h(
      Stack,
      null,
      h(Heading, { level: 2 }, title),
      h(Text, { muted: true }, explanation),
      h(Button, { variant: "primary", busy: loading, onClick: reload }, label),
      h(
        "div",
        { "aria-live": "polite" },
        loading && h(Spinner, { label: "Asking…" }),
        !loading && error && h(Alert, { level: "error", title: "That did not work" }, error.message),
        !loading && data && show(data),
      ),
    ),
  );
}

const greeting = ({ message }) => h(Alert, null, message);

const status = ({ message, user, role, media, latest }) =>
  h(
    Alert,
    { title: message },
    h(Text, null, `The plugin knows you as ${user}, ${role === "admin" ? "an administrator" : "a user"}.`),
    h(Text, null, media === 0 ? "The media library is empty." : `The media library has ${media} items.`),
    latest.length > 0 && h("ul", null, ...latest.map((title) => h("li", { key: title }, title))),
  );

/** The page. The manifest's `export: "default"` names it. */
export default function Hello({ plugin, user }) {
  return h(
    Page,
    { title: plugin.name, lead: `Hello, ${user.username}. These buttons call the plugin's two routes.` },
    h(
      Columns,
      null,
      h(Call, {
        title: "A public route",
        explanation: "GET hello answers anyone, signed in or not.",
        label: "Call hello",
        path: "hello",
        show: greeting,
      }),
      h(Call, {
        title: "A route for signed-in users",
        explanation: "GET status needs a session, and the plugin is told whose it is.",
        label: "Call status",
        path: "status",
        show: status,
      }),
    ),
  );
}
