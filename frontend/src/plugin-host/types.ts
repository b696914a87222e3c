import type { Theme } from "@/theme/theme";
import type { PluginApi } from "./scoped-api";

export type { PluginApi, Theme };

/** The plugin as its own pages see it. */
export interface PluginInfo {
  id: string;
  name: string;
  version: string;
}

/** Who is signed in. */
export interface UserInfo {
  id: string;
  username: string;
  role: "admin" | "user";
}

/** What every page and slot of a plugin gets. */
export interface PluginPageProps {
  plugin: PluginInfo;
  /** Where the plugin's pages live in the dashboard: `/plugins/<id>`. */
  basePath: string;
  /** `fetch` bound to the plugin's own routes: `api("hello")` calls `/api/plugins/<id>/hello`. */
  api: PluginApi;
  user: UserInfo;
  theme: Theme;
  /** Go to a path of the plugin's own pages: `navigate("/items/3")`. */
  navigate: (path: string, options?: { replace?: boolean }) => void;
  /** Path within the plugin: `/items/3`. */
  path: string;
  /** Values of the page path's `:name` segments. */
  params: Readonly<Record<string, string>>;
  /** In a slot, what it is about: `{ media }` in a tab of a film. Empty on a page. */
  context: Readonly<Record<string, unknown>>;
}
