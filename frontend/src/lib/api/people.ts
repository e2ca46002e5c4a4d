// Users and service accounts, and the links with which users choose a password.
import type { LoginStep } from './auth.ts';
import { api, ifMatch, unwrap, type CallOptions } from './client.ts';
import type {
  Page,
  PermissionExplanation,
  Position,
  SetupLink,
  SetupOffer,
  UserAccount,
  UserCreate,
  UserUpdate,
} from './types.ts';

/** Users by name; `q` is a part of a name. */
export function listUsers(
  query: Position & { q?: string },
  options: CallOptions = {},
): Promise<Page<UserAccount>> {
  return unwrap(api.GET('/api/v1/users', { params: { query }, ...options }));
}

export function createUser(wanted: UserCreate): Promise<UserAccount> {
  return unwrap(api.POST('/api/v1/users', { body: wanted }));
}

type UserVersion = Pick<UserAccount, 'id' | 'etag'>;

export function changeUser(user: UserVersion, patch: UserUpdate): Promise<UserAccount> {
  const params = { path: { user_id: user.id }, header: ifMatch(user) };
  return unwrap(api.PATCH('/api/v1/users/{user_id}', { params, body: patch }));
}

export async function removeUser(user: UserVersion): Promise<void> {
  const params = { path: { user_id: user.id }, header: ifMatch(user) };
  await unwrap(api.DELETE('/api/v1/users/{user_id}', { params }));
}

/** What a user may do, where, and through which role or group. */
export function explainPermissions(id: UserAccount['id']): Promise<PermissionExplanation> {
  const params = { path: { user_id: id } };
  return unwrap(api.GET('/api/v1/users/{user_id}/permissions', { params }));
}

export function makeSetupLink(id: UserAccount['id']): Promise<SetupLink> {
  return unwrap(
    api.POST('/api/v1/users/{user_id}/setup-link', { params: { path: { user_id: id } } }),
  );
}

/** Removes the authenticator app, passkeys and recovery codes of a user. */
export async function resetSecondFactor(id: UserAccount['id']): Promise<void> {
  const params = { path: { user_id: id } };
  await unwrap(api.DELETE('/api/v1/users/{user_id}/second-factor', { params }));
}

/** What a setup link is for. */
export function readSetupLink(secret: string): Promise<SetupOffer> {
  return unwrap(api.POST('/api/v1/setup/link', { body: { secret } }));
}

/** Chooses a password with a setup link, and logs in. */
export function useSetupLink(
  secret: string,
  username: string | null,
  password: string,
): Promise<LoginStep> {
  return unwrap(api.POST('/api/v1/setup', { body: { secret, username, password } }));
}
