/** The record of changes. */
export const audit = {
  title: "Audit",
  lead: "Every change that a person or an API key made, newest first.",
  filter: "Filter the record",
  action: "Action",
  target: "Target",
  apply: "Filter",
  all: "Show everything",
  loadFailed: "The record could not be loaded",
  emptyTitle: "Nothing yet",
  emptyLead: "Each change is recorded here with who made it and when.",
  noMatchTitle: "Nothing matches",
  noMatchLead: "Action and target have to be written in full, such as plugin.enable and plugin:hello.",
  at: "When",
  who: "Who",
  what: "What",
  from: "From",
} as const;
