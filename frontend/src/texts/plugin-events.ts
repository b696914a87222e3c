/** A plugin's events and schedules. */
export const pluginEvents = {
  tab: "Events",
  title: "Events",
  none: "It wants no events.",
  onlyOwn: "It follows no events. It is told of what is its own alone, such as a download that it is to fetch.",
  notYet: "It is subscribed when it has run for the first time.",
  wants: "It is told of",
  publishes: "It may tell",
  figures: (lag: number, seconds: number, delivered: number) =>
    `${lag === 0 ? "Nothing waits" : `${lag} waiting, the oldest for ${Math.round(seconds)} s`}; ${delivered} delivered`,
  retryAll: "Try all again",
  lettersFailed: "What could not be delivered could not be loaded",
  noLetters: "Everything was delivered, or is still being tried.",
} as const;

export const schedules = {
  title: "Schedules",
  loadFailed: "The schedules could not be loaded",
  none: "It does nothing by the clock.",
  next: "Next:",
  never: "never, while it is off",
  run: "Run now",
  running: "Running…",
  runOf: (id: string) => `Run ${id} now`,
  started: (id: string) => `${id} was started.`,
  history: "Runs",
  historyOf: (id: string) => `Runs of ${id}`,
  runsFailed: "The runs could not be loaded",
  noRuns: "It has not run yet.",
  states: { running: "Running", done: "Done", failed: "Failed", skipped: "Left out" },
  causes: { time: "by the clock", missed: "made up for", manual: "by a person" },
  took: (milliseconds: number) =>
    milliseconds < 1000 ? "in under a second" : `in ${Math.round(milliseconds / 1000)} s`,
} as const;
