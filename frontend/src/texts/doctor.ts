/** The examination of a plugin. */
export const doctor = {
  tab: "Doctor",
  title: "Doctor",
  lead: "Looks at every step between the plugin's image and its permissions. Changes nothing.",
  looking: "Looking…",
  again: "Look again",
  firstFailed: (hop: string, message: string) => `The first step that fails: ${hop}. ${message}`,
  failed: "The examination did not work",
  statuses: { passed: "Fine", warning: "Look at it", failed: "Failed", skipped: "Not looked at" },
  hops: {
    manifest: "Manifest",
    image: "Image or environment",
    container: "Container or process",
    dns: "Its name in the network",
    tcp: "Connection",
    health: "Health",
    contract: "Contract",
    init: "Start-up",
    callback: "Calls back to Nimbus",
    permissions: "Permissions",
  } as Record<string, string>,
} as const;
