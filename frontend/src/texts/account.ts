/** Your own account. */
export const account = {
  title: "Your account",
  lead: (username: string, role: string) => `Signed in as ${username} · ${role}`,
  password: "Change password",
  passwordLead: "Every other browser that is signed in with this account is signed out.",
  current: "Present password",
  new: "New password",
  repeat: "Repeat the new password",
  change: "Change password",
  changing: "Changing…",
  done: "Your password is changed",
  doneLead: "You stay signed in here. All other sessions of this account were signed out.",
} as const;

export const sessions = {
  title: "Where you are signed in",
  lead: "Each is a browser. End those that you do not know, and change your password then.",
  titleOf: (name: string) => `Where ${name} is signed in`,
  loadFailed: "The sessions could not be loaded",
  none: "Nowhere.",
  here: "This browser",
  from: (address: string) => `from ${address}`,
  signedIn: "Signed in",
  used: "Last used",
  end: "Sign out",
  endOf: (device: string) => `Sign out ${device}`,
  ended: "Signed out there.",
  endAll: "Sign out everywhere",
  endAllLead: "They have to sign in again in each of these browsers. What they have not saved there is lost.",
  endedAll: (name: string) => `${name} is signed out.`,
  unknown: "Unknown browser",
  device: (browser: string, system: string) => `${browser} on ${system}`,
} as const;
