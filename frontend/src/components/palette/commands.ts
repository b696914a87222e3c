import type { ListedPlugin, UiManifest } from "@/api/plugins";
import { navGroups } from "@/plugin-host/navigation";
import { texts } from "@/texts";
import { ADMIN_PLACES, MORE_PLACES, PLACES } from "../layout/places";

export interface Command {
  id: string;
  label: string;
  /** What kind of thing it is, at the end of the line. */
  kind: string;
  run: () => void;
}

export interface CommandSources {
  role: "admin" | "user";
  plugins: readonly ListedPlugin[];
  manifests: readonly UiManifest[];
  go: (href: string) => void;
  setEnabled: (plugin: ListedPlugin, enabled: boolean) => void;
  rescan: () => void;
  theme: (choice: "light" | "dark" | "system") => void;
}

/** Everything that can be gone to or done, in the order in which it is offered. */
export function commandsOf({ role, plugins, manifests, go, setEnabled, rescan, theme }: CommandSources): Command[] {
  const { palette } = texts;
  const admin = role === "admin";
  const places = [...PLACES, ...(admin ? ADMIN_PLACES : []), ...MORE_PLACES].map(
    ({ label, to }): Command => ({ id: `go ${to}`, label, kind: palette.page, run: () => go(to) }),
  );
  const pages = navGroups(manifests, role)
    .flatMap((group) => group.items)
    .map((item): Command => {
      const to = `/plugins/${item.pluginId}${item.path === "/" ? "" : item.path}`;
      return { id: `page ${to} ${item.label}`, label: item.label, kind: palette.pluginPage, run: () => go(to) };
    });
  const details = plugins.map(
    ({ id, name }): Command => ({
      id: `plugin ${id}`,
      label: texts.plugins.manage(name),
      kind: palette.plugin,
      run: () => go(`/manage/plugins/${id}`),
    }),
  );
  const switches = plugins
    .filter((plugin) => admin && plugin.state !== "invalid")
    .map(
      (plugin): Command => ({
        id: `switch ${plugin.id}`,
        label: plugin.enabled ? palette.disable(plugin.name) : palette.enable(plugin.name),
        kind: palette.action,
        run: () => setEnabled(plugin, !plugin.enabled),
      }),
    );
  const themes = (["light", "dark", "system"] as const).map(
    (choice): Command => ({
      id: `theme ${choice}`,
      label: palette.theme(texts.theme[choice]),
      kind: palette.action,
      run: () => theme(choice),
    }),
  );
  const scan: Command = { id: "rescan", label: palette.rescan, kind: palette.action, run: rescan };
  return [...places, ...pages, ...details, ...switches, ...(admin ? [scan] : []), ...themes];
}

/** The commands that hold every word of what was typed; those whose label begins with it come first. */
export function matching(commands: readonly Command[], typed: string): Command[] {
  const words = typed.toLowerCase().split(/\s+/).filter(Boolean);
  const [first] = words;
  if (first === undefined) return [...commands];
  const fits = commands.filter(({ label, kind }) => {
    const text = `${label} ${kind}`.toLowerCase();
    return words.every((word) => text.includes(word));
  });
  const begins = ({ label }: Command) => (label.toLowerCase().startsWith(first) ? 0 : 1);
  return fits.sort((a, b) => begins(a) - begins(b));
}
