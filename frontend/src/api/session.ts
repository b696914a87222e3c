import { queryOptions } from "@tanstack/react-query";
import { unwrap } from "./client";
import {
  authChangePassword,
  authLogin,
  authLogout,
  authMe,
  invitationAccept,
  invitationLook,
  type PasswordChange,
  type System,
  setupComplete,
  systemGet,
  type User,
} from "./generated";
import { ApiProblem } from "./problem";

export type { System, User };

/** Who is signed in; `null` is nobody. */
export const sessionQuery = queryOptions({
  queryKey: ["session"],
  queryFn: async ({ signal }): Promise<User | null> => {
    try {
      return await unwrap(authMe({ signal }));
    } catch (error) {
      if (error instanceof ApiProblem && error.status === 401) return null;
      throw error;
    }
  },
  staleTime: Number.POSITIVE_INFINITY,
});

/** What this Nimbus is and how it is; readable by anyone, with notices for users. */
export const systemQuery = queryOptions({
  queryKey: ["system"],
  queryFn: ({ signal }) => unwrap(systemGet({ signal })),
  staleTime: 30_000,
});

export const signIn = (username: string, password: string) => unwrap(authLogin({ body: { username, password } }));

export const signOut = () => unwrap(authLogout());

/** Also ends every other session of the account. */
export const changePassword = (body: PasswordChange) => unwrap(authChangePassword({ body }));

export const completeSetup = (body: { code: string; username: string; password: string }) =>
  unwrap(setupComplete({ body }));

/** What an invitation is for; refused when it is none, or none any more. */
export const offerQuery = (code: string) =>
  queryOptions({
    queryKey: ["invitation", code],
    queryFn: ({ signal }) => unwrap(invitationLook({ body: { code }, signal })),
    staleTime: Number.POSITIVE_INFINITY,
  });

export const acceptInvitation = (body: { code: string; username: string; password: string }) =>
  unwrap(invitationAccept({ body }));
