/** Signing in, setting up, and new passwords. */
export const signIn = {
  title: "Sign in",
  lead: "Welcome back.",
  username: "User name",
  password: "Password",
  submit: "Sign in",
  submitting: "Signing in…",
  wrong: "The user name or the password is wrong.",
  limited: (seconds: number) =>
    seconds > 90
      ? `Too many attempts. Try again in ${Math.ceil(seconds / 60)} minutes.`
      : `Too many attempts. Try again in ${seconds} seconds.`,
  expired: "Your session has ended. Sign in and you are back where you were.",
  showPassword: "Show password",
  hidePassword: "Hide password",
} as const;

export const setup = {
  title: "Set up Nimbus",
  lead: "Create the first administrator. This page works once.",
  code: "Set-up code",
  codeHelp: "Printed in the gateway's log when it started for the first time.",
  submit: "Create administrator",
  submitting: "Creating…",
  done: "Nimbus is already set up. Sign in instead.",
} as const;

export const newPassword = {
  help: "8 to 256 characters. A short sentence is easy to remember and hard to guess.",
  tooShort: "Use at least 8 characters.",
  tooLong: "Use at most 256 characters.",
  repeat: "Repeat the password",
  mismatch: "The two passwords differ.",
} as const;

export const session = {
  menu: (name: string) => `Account of ${name}`,
  account: "Account and password",
  signOut: "Sign out",
  admin: "Administrator",
  user: "User",
} as const;

export const invitation = {
  title: "You are invited",
  looking: "Looking at the invitation…",
  lead: {
    admin: "Choose a name and a password. You become an administrator of this Nimbus.",
    user: "Choose a name and a password. You become a user of this Nimbus.",
  },
  until: (time: string) => `It is good until ${time}.`,
  signedIn: (username: string) => `You are signed in as ${username}. The new account takes over in this browser.`,
  submit: "Make my account",
  submitting: "Making it…",
  badTitle: "This invitation does not work",
  badLead: "It was used, withdrawn, or is too old, or the address was not copied whole. Ask for a new one.",
  noCode: "The address has no code behind the #. Copy the whole of it.",
  signIn: "Sign in",
} as const;
