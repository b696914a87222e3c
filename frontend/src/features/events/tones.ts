/** How the state of a subscription looks. */
export const SUBSCRIPTION_TONES = {
  active: "positive",
  waiting: "neutral",
  retrying: "warning",
  unsubscribed: "neutral",
} as const;
