/** What cannot be taken back. */
export const danger = {
  tab: "Danger zone",
  folder: "Its folder is in the plugins folder, so it stays in the list until the folder is taken away.",
  uninstall: "Uninstall",
  uninstallLead:
    "It is stopped and taken off the list. Its data, settings and copies are kept for when it comes back.",
  uninstallAction: "Uninstall",
  uninstallTitle: (name: string) => `Uninstall ${name}?`,
  delete: "Uninstall and delete its data",
  deleteLead: "Everything that the plugin and you have ever kept in it is gone for good.",
  deleteAction: "Delete everything",
  deleteTitle: (name: string) => `Delete ${name} with its data?`,
  lost: {
    keepTitle: "This happens:",
    stops: ["Its routes answer 404, and its pages leave.", "Events that wait for it are dropped."],
    kept: "Kept: its volume, settings, keys and copies. Installed again, it goes on with them.",
    deleteTitle: "This is lost:",
    gone: [
      "Its volume with every copy made before upgrades",
      "Its settings, with stored secrets",
      "What it kept in the key-value store, and its log",
    ],
    forGood: "Nothing brings it back. What it added to the library stays.",
  },
  done: (name: string, deleted: boolean, listed: boolean) =>
    `${name} is uninstalled${deleted ? ", and its data are deleted" : ""}.${listed ? " Its folder keeps it in the list." : ""}`,
} as const;
