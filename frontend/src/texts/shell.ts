/** The frame round every screen: navigation, palette, notices. */
export const app = { name: "Nimbus", skipToContent: "Skip to content" } as const;

export const nav = {
  main: "Main",
  sidebar: "Sidebar",
  open: "Open menu",
  close: "Close menu",
  home: "Home",
  plugins: "Plugins",
  library: "Library",
  downloads: "Downloads",
  install: "Install",
  events: "Events",
  webhooks: "Webhooks",
  access: "Users and keys",
  audit: "Audit",
  system: "System",
  administration: "Administration",
  extensions: "Plugin Extensions",
  extensionsEmpty: "Pages of running plugins appear here.",
  arrived: (title: string) => `${title}, page loaded`,
} as const;

export const palette = {
  title: "Go to or do",
  open: "Search or do…",
  shortcut: "Ctrl K",
  placeholder: "A page, a plugin or an action",
  results: "What fits",
  page: "Page",
  pluginPage: "Plugin page",
  plugin: "Plugin",
  action: "Action",
  enable: (name: string) => `Enable ${name}`,
  disable: (name: string) => `Disable ${name}`,
  enabling: (name: string) => `${name} is being started.`,
  disabling: (name: string) => `${name} is being stopped.`,
  rescan: "Rescan the plugins folder",
  theme: (theme: string) => `Theme: ${theme}`,
  count: (count: number) => (count === 1 ? "1 result" : `${count} results`),
  nothing: "Nothing fits.",
} as const;

export const theme = { label: "Theme", system: "Same as device", light: "Light", dark: "Dark" } as const;

export const notices = {
  region: "System notices",
  toasts: "Short notes",
  dismiss: "Hide this notice",
} as const;

export const notFound = {
  title: "Page not found",
  lead: "Nothing lives at this address.",
  home: "Go to the start",
} as const;

export const crash = {
  missingTitle: "This page could not be loaded",
  missingLead: "Nimbus does not answer right now. Try again in a moment; a missing page comes by itself.",
  title: "This page has stopped",
  lead: "An error in the dashboard ended it. Reloading usually helps.",
  reload: "Reload",
} as const;
