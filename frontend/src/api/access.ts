import { queryOptions } from "@tanstack/react-query";
import { unwrap } from "./client";
import {
  type AdminUser,
  type ApiKey,
  type ApiKeyCreate,
  apiKeysCreate,
  apiKeysList,
  apiKeysRevoke,
  authEndSession,
  authSessions,
  type Invitation,
  type InvitationCreate,
  invitationsCreate,
  invitationsList,
  invitationsWithdraw,
  type NewApiKey,
  type NewInvitation,
  type SignedInSession,
  type UserCreate,
  type UserUpdate,
  usersCreate,
  usersDelete,
  usersEndSessions,
  usersList,
  usersSessions,
  usersUpdate,
} from "./generated";
import { pagedQuery } from "./paging";

export type { AdminUser, ApiKey, Invitation, NewApiKey, NewInvitation, SignedInSession };

const PAGE = 100;

export const usersQuery = pagedQuery<AdminUser>(["users"], (cursor, signal) =>
  unwrap(usersList({ query: { limit: PAGE, ...(cursor && { cursor }) }, signal })),
);

export const createUser = (body: UserCreate) => unwrap(usersCreate({ body }));
export const updateUser = (id: string, body: UserUpdate) => unwrap(usersUpdate({ path: { user_id: id }, body }));
export const deleteUser = (id: string) => unwrap(usersDelete({ path: { user_id: id } }));

export const apiKeysQuery = pagedQuery<ApiKey>(["api-keys"], (cursor, signal) =>
  unwrap(apiKeysList({ query: { limit: PAGE, ...(cursor && { cursor }) }, signal })),
);

export const createApiKey = (body: ApiKeyCreate) => unwrap(apiKeysCreate({ body }));
export const revokeApiKey = (id: string) => unwrap(apiKeysRevoke({ path: { key_id: id } }));

export const invitationsQuery = pagedQuery<Invitation>(["invitations"], (cursor, signal) =>
  unwrap(invitationsList({ query: { limit: PAGE, ...(cursor && { cursor }) }, signal })),
);

export const createInvitation = (body: InvitationCreate) => unwrap(invitationsCreate({ body }));
export const withdrawInvitation = (id: string) => unwrap(invitationsWithdraw({ path: { invitation_id: id } }));

/** Where one is signed in oneself. */
export const sessionsQuery = queryOptions({
  queryKey: ["sessions"],
  queryFn: async ({ signal }) => (await unwrap(authSessions({ signal }))).items,
});

/** Where another person is signed in. */
export const sessionsOfQuery = (id: string) =>
  queryOptions({
    queryKey: ["sessions", id],
    queryFn: async ({ signal }) => (await unwrap(usersSessions({ path: { user_id: id }, signal }))).items,
  });

export const endSession = (id: string) => unwrap(authEndSession({ path: { session_id: id } }));
export const endSessionsOf = (id: string) => unwrap(usersEndSessions({ path: { user_id: id } }));
