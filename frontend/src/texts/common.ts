/** What every screen says: errors, waiting, the connection. */
export const common = {
  retry: "Try again",
  close: "Close",
  more: "Show more",
  loading: "Loading",
  since: (time: string) => `Since ${time}`,
  highest: (value: string) => `max ${value}`,
  unknownError: "Something went wrong.",
  networkError: "Nimbus cannot be reached. Check that it is running and that this device is online.",
  justNow: "just now",
} as const;

export const problems = {
  "/problems/unauthenticated": "Your session has ended. Sign in again.",
  "/problems/forbidden": "Your account may not do this. Ask an administrator.",
  "/problems/csrf": "The request did not come from this page. Reload and try again.",
  "/problems/rate-limited": "Too many attempts. Wait a moment and try again.",
  "/problems/registry-unavailable": "The plugin registry cannot be reached, so nothing can be changed right now.",
  "/problems/database-unavailable": "The database cannot be reached right now.",
  "/problems/plugins-disabled": "The plugin host is switched off.",
} as Record<string, string>;

export const confirm = {
  cancel: "Cancel",
  type: (name: string) => `Type ${name} to go on`,
} as const;

export const live = {
  connecting: "Connecting…",
  live: "Live",
  "catching-up": "Catching up…",
  offline: "Offline",
  offlineDetail: "What you see may be out of date. Trying to reconnect.",
  backOnline: "Connected again. Everything is up to date.",
  wentOffline: "The connection to Nimbus was lost.",
} as const;

/** What is shown once and then never again. */
export const once = {
  copied: "Copied",
  copyByHand: "This browser does not let pages copy here. Mark the text and copy it by hand.",
  kept: "I have kept it",
} as const;
