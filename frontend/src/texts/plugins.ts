/** The list of plugins, their states and failures. */
export const plugins = {
  title: "Plugins",
  lead: "Switch a plugin on and its pages and routes are there at once.",
  search: "Search plugins",
  filter: "Filter by state",
  filters: { all: "All", running: "Running", attention: "Needs attention", off: "Off" },
  rescan: "Rescan",
  rescanning: "Scanning…",
  scanned: (added: number, updated: number, removed: number, invalid: number) => {
    const parts = [
      added && `${added} new`,
      updated && `${updated} updated`,
      removed && `${removed} removed`,
      invalid && `${invalid} invalid`,
    ].filter(Boolean);
    return parts.length ? `Scan finished: ${parts.join(", ")}.` : "Scan finished: nothing changed.";
  },
  count: (shown: number, total: number) =>
    shown === total ? `${total} ${total === 1 ? "plugin" : "plugins"}` : `${shown} of ${total} plugins`,
  loadFailed: "The plugins could not be loaded",
  emptyTitle: "No plugins yet",
  emptyLead:
    "Put a plugin's folder with its manifest.json into the plugins folder. It shows up here by itself, or press Rescan.",
  emptyUser: "An administrator has not added any plugin yet.",
  noMatchTitle: "Nothing matches",
  noMatchLead: "No plugin fits this search and filter.",
  clearFilters: "Show all plugins",
  byCapability: "Filter by capability",
  anyCapability: "Any capability",
  view: "View",
  views: { cards: "Cards", table: "Table" },
  name: "Plugin",
  since: "Since",
  actions: "Actions",
  by: (author: string) => `by ${author}`,
  version: (version: string) => `Version ${version}`,
  manage: (name: string) => `Details of ${name}`,
  openPage: "Open",
  openPageOf: (name: string) => `Open ${name}`,
  enable: (name: string) => `Enable ${name}`,
  cannotEnable: "Fix its manifest first",
  askedOn: "Asking to start…",
  askedOff: "Asking to stop…",
  changeFailed: (name: string) => `${name} could not be changed`,
  nowReady: (name: string) => `${name} is running.`,
  nowDisabled: (name: string) => `${name} is off.`,
  nowFailed: (name: string) => `${name} failed.`,
  capabilities: "Capabilities",
  manifestErrors: "Its manifest has errors",
  suggestion: (text: string) => `Did you mean ${text}?`,
  found: (value: string) => `found ${value}`,
  moreErrors: (count: number) => `and ${count} more`,
} as const;

/** Changing many plugins at once. */
export const bulk = {
  label: "Change the selected plugins",
  start: "Select",
  end: "End the selection",
  select: (name: string) => `Select ${name}`,
  range: "With Shift: everything from the one before",
  selectAll: (total: number) => `Select all ${total}`,
  selectNone: "Select none",
  count: (count: number) => (count === 1 ? "1 selected" : `${count} selected`),
  enable: (count: number) => (count > 0 ? `Enable ${count}` : "Enable"),
  disable: (count: number) => (count > 0 ? `Disable ${count}` : "Disable"),
  disableTitle: (count: number) => (count === 1 ? "Disable this plugin?" : `Disable ${count} plugins?`),
  disableLead: "Their pages and routes are gone until they are enabled again. Settings and data stay.",
  title: (verb: "enable" | "disable", count: number) =>
    `${verb === "enable" ? "Enabling" : "Disabling"} ${count === 1 ? "1 plugin" : `${count} plugins`}`,
  each: "What came of each",
  outcomes: {
    waiting: "Waiting",
    "under-way": "Under way",
    done: "Done",
    failed: "Failed",
    skipped: "Left out",
  },
  summary: (
    verb: "enable" | "disable",
    counts: Record<"waiting" | "under-way" | "done" | "failed" | "skipped", number>,
  ) =>
    [
      `${counts.done} ${verb === "enable" ? "running" : "off"}`,
      counts["under-way"] + counts.waiting > 0 && `${counts["under-way"] + counts.waiting} under way`,
      counts.failed > 0 && `${counts.failed} failed`,
      counts.skipped > 0 && `${counts.skipped} left out`,
    ]
      .filter(Boolean)
      .join(", "),
  someFailed: (count: number) =>
    count === 1
      ? "One did not do as asked. Why stands beside it."
      : `${count} did not do as asked. Why stands beside each.`,
  again: (count: number) => (count === 1 ? "Try 1 again" : `Try ${count} again`),
  undo: "Enable them again",
  close: "Hide this result",
  waiting: "Not asked yet",
  alreadyOn: "It is enabled already.",
  alreadyOff: "It is off already.",
  invalid: "Its manifest has errors, so it cannot be enabled.",
  gone: "It is not there any more.",
  switchedBack: "It was switched back meanwhile.",
} as const;

export const states = {
  invalid: "Invalid",
  disabled: "Off",
  building: "Building",
  pulling: "Downloading",
  starting: "Starting",
  initializing: "Initializing",
  ready: "Running",
  degraded: "Degraded",
  stopping: "Stopping",
  failed: "Failed",
  backoff: "Waiting to retry",
  quarantined: "Quarantined",
  idle: "Sleeping",
} as const;

export const stateHelp = {
  invalid: "Its manifest has errors, so it cannot be started.",
  disabled: "It is installed and switched off.",
  building: "Its image or environment is being built.",
  pulling: "Its image is being downloaded.",
  starting: "It has been started and does not answer yet.",
  initializing: "It answers and is getting ready.",
  ready: "It is running and serves requests.",
  degraded: "It serves requests, but reports a problem.",
  stopping: "It is finishing what it does.",
  failed: "It could not be started or has stopped.",
  backoff: "It failed and is started again in a moment.",
  quarantined: "It failed too often and waits for a person.",
  idle: "Nobody uses it; the next request starts it.",
} as const;

export const stages = {
  label: (name: string) => `Start of ${name}`,
  prepare: "Prepare",
  start: "Start",
  initialize: "Initialize",
  ready: "Ready",
  step: (position: number, total: number) => `Step ${position} of ${total}`,
} as const;

export const failure = {
  lastLines: "Last lines it printed",
  fields: "Settings that need attention",
  configure: "Open its settings",
  hop: (hop: string) => `Failed at: ${hop}`,
  hops: {
    manifest: "manifest",
    image: "image",
    start: "start",
    dns: "name lookup",
    connect: "connection",
    http: "HTTP answer",
    handshake: "contract handshake",
    init: "initialisation",
    config: "configuration",
    exit: "its process exited",
    stop: "stop",
    engine: "container engine",
  } as Record<string, string>,
  restart: "Start again",
  restarting: "Starting again…",
} as const;
