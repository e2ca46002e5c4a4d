// Who is logged in.
import { api, unwrap, type CallOptions } from './client.ts';
import type { LoginState, User } from './types.ts';

export function logIn(username: string, password: string): Promise<User> {
  return unwrap(api.POST('/api/v1/auth/login', { body: { username, password } }));
}

export async function logOut(): Promise<void> {
  await unwrap(api.POST('/api/v1/auth/logout'));
}

/** The logged-in user, if any, and whether the session needs HTTPS. */
export function loginState(options: CallOptions = {}): Promise<LoginState> {
  return unwrap(api.GET('/api/v1/auth/state', options));
}
