// Who is logged in.
import { api, unwrap, type CallOptions } from './client.ts';
import type { User } from './types.ts';

export function logIn(username: string, password: string): Promise<User> {
  return unwrap(api.POST('/api/v1/auth/login', { body: { username, password } }));
}

export async function logOut(): Promise<void> {
  await unwrap(api.POST('/api/v1/auth/logout'));
}

/** The logged-in user; an ApiError with status 401 when nobody is. */
export function whoAmI(options: CallOptions = {}): Promise<User> {
  return unwrap(api.GET('/api/v1/auth/me', options));
}
