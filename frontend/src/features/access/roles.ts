import { texts } from "@/texts";

/** What an account may be. */
export const ROLES = (["user", "admin"] as const).map((role) => ({ value: role, label: texts.session[role] }));
