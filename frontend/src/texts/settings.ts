/** A plugin's settings. */
export const settings = {
  tab: "Settings",
  title: "Settings",
  lead: "The plugin says what can be set. Nimbus checks it and tells the plugin.",
  loadFailed: "The settings could not be loaded",
  noneTitle: "Nothing to set",
  noneLead: "This plugin declares no settings.",
  optional: (label: string) => `${label} (optional)`,
  standard: (value: string) => `Standard: ${value}`,
  notSet: "Not set",
  emptyList: "No entries.",
  entry: (label: string, position: number) => `${label} ${position}`,
  add: "Add an entry",
  remove: (label: string, position: number) => `Remove ${label} ${position}`,
  saveFirst: "Save first: it works with what is stored.",
  actionFailed: (label: string) => `“${label}” could not be done`,
  actionDone: (label: string, ok: boolean) => (ok ? `“${label}” went well` : `“${label}” did not go well`),
  json: "Written as JSON.",
  notJson: "This is not valid JSON yet.",
  stored: "A value is stored. It is never shown.",
  replace: "Replace",
  replaceSecret: (label: string) => `Replace ${label}`,
  removeStored: "Remove",
  removeSecret: (label: string) => `Remove ${label}`,
  willBeRemoved: "Is removed when you save.",
  keep: "Keep",
  keepSecret: (label: string) => `Keep ${label}`,
  save: "Save settings",
  saving: "Saving…",
  discard: "Discard changes",
  unsaved: "There are changes that are not saved.",
  saved: (told: boolean | null) =>
    told === null
      ? "Saved. The plugin reads them at its start."
      : told
        ? "Saved. The plugin was told."
        : "Saved. The plugin did not take note: restart it to be sure.",
  refused: "Nothing was saved",
  atFields: (count: number) =>
    count === 1 ? "One value does not fit. It says why at its field." : `${count} values do not fit.`,
  leaveTitle: "Leave without saving?",
  leaveLead: "What you changed in these settings is lost.",
  stay: "Stay",
  leave: "Leave and lose the changes",
} as const;
