/** What is asked of a plugin and what it uses, over time. */
export const usage = {
  tab: "Metrics",
  title: "What it uses",
  loadFailed: "The figures could not be loaded",
  span: "Time that is shown",
  spans: { "1h": "Last hour", "6h": "6 hours", "24h": "24 hours" },
  running: "Started",
  notRunning: "Not running",
  restarts: "Restarts",
  failures: "Failures in 10 minutes",
  used: "Used",
  memory: "Memory",
  cpu: "Processor",
  network: "Network",
  received: "Received",
  sent: "Sent",
  emptyTitle: "No figures yet",
  emptyLead: "They are collected while the plugin runs.",
  cores: (value: string) => `${value} cores`,
  perSecond: (value: string) => `${value}/s`,
} as const;

const every = (step: number) => (step === 60 ? "a minute" : `in ${step / 60} minutes`);

export const traffic = {
  title: "What is asked of it",
  loadFailed: "The requests could not be loaded",
  emptyTitle: "No requests",
  emptyLead: "Nobody asked anything of it in this time.",
  summary: (requests: number, errors: { plugin: number; gateway: number; client: number }, p95: string | null) => {
    const wrong = errors.plugin + errors.gateway;
    const failed = wrong === 0 ? "none failed" : `${wrong} failed`;
    const quick = p95 === null ? "" : ` 95 of 100 were answered within ${p95}.`;
    return `${requests} ${requests === 1 ? "request" : "requests"}, ${failed}.${quick}`;
  },
  requests: (step: number) => `Requests ${every(step)}`,
  all: "All",
  causes: { plugin: "Failed in the plugin", gateway: "Failed in Nimbus", client: "Refused or left" },
  latency: "Time to answer",
  p50: "Half within",
  p95: "95 of 100 within",
  p99: "99 of 100 within",
  bytes: (step: number) => `Bytes ${every(step)}`,
  sent: "Sent",
  received: "Received",
  restarts: (step: number) => `Starts anew ${every(step)}`,
  startedAnew: "Started anew",
} as const;

export const chart = {
  now: "now",
  none: "–",
  time: "Time",
  asTable: "As a table",
  limit: (value: string) => `Limit ${value}`,
  moment: (title: string) => `${title}: moment`,
} as const;
