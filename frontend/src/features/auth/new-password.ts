import { texts } from "@/texts";

/** As the gateway has them; telling here saves a round trip. */
const SHORTEST = 8;
const LONGEST = 256;

export interface NewPasswordErrors {
  password?: string;
  repeat?: string;
}

/** What is wrong with a new password and its repetition; empty when nothing is. */
export function newPasswordErrors(password: string, repeat: string): NewPasswordErrors {
  // The gateway counts characters, not UTF-16 units.
  const length = [...password].length;
  return {
    ...(length < SHORTEST && { password: texts.newPassword.tooShort }),
    ...(length > LONGEST && { password: texts.newPassword.tooLong }),
    ...(password !== repeat && { repeat: texts.newPassword.mismatch }),
  };
}
