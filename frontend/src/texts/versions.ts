/** A plugin's versions. */
export const versions = {
  tab: "Versions",
  title: "Versions that are here",
  loadFailed: "The versions could not be loaded",
  statuses: { current: "Installed", kept: "Kept", waiting: "Waits for you", rejected: "Rejected" },
  upgrade: "Upgrade",
  upgrading: "Upgrading…",
  upgradeLead: "The version that runs serves until the new one is ready. One that does not become ready is undone.",
  fromFolder:
    "It comes from the plugins folder: put the new version there. Nimbus takes it over by itself; one that wants to do more waits below for you.",
  upgraded: "The new version is taken.",
  fetch: "Look at it first",
  fetching: "Fetching…",
  stillFetching: "It is still being fetched. It appears below when it is here.",
  goesOn: "The change goes on. The state says when it is done.",
  decide: "Decide",
  takeTitle: (name: string, version: string) => `${name} ${version}`,
  changes: "What is new",
  changesOf: (version: string) => `What ${version} changed`,
  noChangelog: "Its author has written nothing about that.",
  permissions: "What it may do",
  asked: "Beside what it may do already, it wants to:",
  wants: (permissions: readonly string[]) => `It asks for more than now: ${permissions.join(", ")}.`,
  dropped: "It no longer asks to:",
  samePermissions: (count: number) =>
    count === 0 ? "It asks for nothing, as before." : "The same as now: it asks for nothing more.",
  notNow: "Not now",
  agree: "Agree and upgrade",
  back: "Go back",
  backTo: (version: string) => `Go back to ${version}`,
  backLead: "The version that runs is replaced by this one, and kept.",
  backData:
    "The version that runs is replaced by this one, with its data as it left them. What was written since is kept aside.",
  keepData: "Keep today's data",
  keepDataHelp: "This version gets the data as they are now. It may not understand them.",
  wentBack: (version: string) => `Version ${version} is back.`,
  snapshot: "Its data as it left them are kept.",
  settings: (keys: readonly string[]) =>
    keys.length === 0
      ? "It was left without settings."
      : `Its settings as it left them are kept: ${keys.join(", ")}.`,
  backSettings: "Its settings as it left them come back. Those of now are kept with the version that is left.",
} as const;
