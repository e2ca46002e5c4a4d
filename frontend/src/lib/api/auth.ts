// Who is logged in.
import { api, unwrap, type CallOptions } from './client.ts';
import type { LoginMethods, LoginState, SecondFactorNeeded, User } from './types.ts';

/** Who is logged in now, or what the login goes on with. */
export type LoginStep = User | SecondFactorNeeded;

export function needsSecondFactor(step: LoginStep): step is SecondFactorNeeded {
  return 'methods' in step;
}

export function logIn(username: string, password: string): Promise<LoginStep> {
  return unwrap(api.POST('/api/v1/auth/login', { body: { username, password } }));
}

/** Ends the session; returns where to end the one at the identity provider, if there is one. */
export async function logOut(): Promise<string | null> {
  const done = await unwrap(api.POST('/api/v1/auth/logout'));
  return done?.continue_at ?? null;
}

/** How people can log in, and in words why a sign-in failed. */
export function loginMethods(failure = '', options: CallOptions = {}): Promise<LoginMethods> {
  const params = failure === '' ? {} : { query: { failure } };
  return unwrap(api.GET('/api/v1/auth/methods', { ...options, params }));
}

/** The logged-in user, if any, and whether the session needs HTTPS. */
export function loginState(options: CallOptions = {}): Promise<LoginState> {
  return unwrap(api.GET('/api/v1/auth/state', options));
}

/** Proves again who is logged in; the session gets another id. */
export async function reauthenticate(password: string, code: string | null): Promise<void> {
  await unwrap(api.POST('/api/v1/auth/reauthenticate', { body: { password, code } }));
}

/** Changes the own password; returns how many other sessions were ended. */
export async function changePassword(current: string, next: string): Promise<number> {
  const body = { current_password: current, new_password: next };
  return (await unwrap(api.POST('/api/v1/auth/password', { body }))).ended;
}
