const several = new Intl.ListFormat("en");
const NAMED = 3;

/** A few by name, more as a number. */
const who = (names: readonly string[]) => (names.length > NAMED ? `${names.length} plugins` : several.format(names));

/** Plugins that need each other. */
export const dependencies = {
  title: "Other plugins",
  needs: "It needs",
  neededBy: "It is needed by",
  optional: "optional",
  range: (version: string) => (["", "*"].includes(version.trim()) ? "any version" : version),
  missing: "Not installed",
  version: "Another version",
  unmetTitle: (names: readonly string[]) => `${who(names)} ${names.length === 1 ? "needs" : "need"} other plugins`,
  unmetLead: (names: readonly string[]) =>
    `${names.length === 1 ? "It" : "They"} cannot be enabled before these are there:`,
  unmetVersion: "The new version cannot run before they are there:",
  canEnable: "What is needed is started first.",
  enableToo: "Enable these too",
  install: "Install a plugin",
  neededTitle: (names: readonly string[]) => `Other plugins need ${who(names)}`,
  needed: {
    switch: {
      lead: (names: readonly string[]) => `These are enabled and cannot do without ${who(names)}:`,
      choices: (names: readonly string[]) =>
        `They can be disabled with it, those that need it first. If only ${who(names)} is disabled, they stay enabled and may fail.`,
      too: "Disable these too",
      only: (names: readonly string[]) => `Disable only ${who(names)}`,
    },
    uninstall: {
      lead: (names: readonly string[]) => `These are enabled and cannot do without ${who(names)}:`,
      choices: (names: readonly string[]) =>
        `They can be disabled first; they stay installed. If only ${who(names)} is taken away, they stay enabled and may fail.`,
      too: "Disable these and uninstall",
      only: (names: readonly string[]) => `Uninstall only ${who(names)}`,
    },
    upgrade: {
      lead: () => "These are enabled and need it in a range in which the other version is not:",
      choices: () => "Upgrade them first. If the version is changed all the same, they go on until their next start.",
      too: null,
      only: (names: readonly string[]) => `Change ${who(names)} all the same`,
    },
  },
} as const;
