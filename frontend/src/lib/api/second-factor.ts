// The second step of a login, and the second factors of the own account.
import { api, unwrap, type CallOptions } from './client.ts';
import type { SecondFactorState, TotpEnrollment, User } from './types.ts';

/** Goes on with a login: a code of the authenticator app, or a recovery code. */
export function enterCode(code: string): Promise<User> {
  return unwrap(api.POST('/api/v1/auth/second-factor', { body: { code } }));
}

export function secondFactor(options: CallOptions = {}): Promise<SecondFactorState> {
  return unwrap(api.GET('/api/v1/auth/second-factor', options));
}

/** The secret of a new authenticator app, which counts after `confirmTotp`. */
export function setUpTotp(): Promise<TotpEnrollment> {
  return unwrap(api.POST('/api/v1/auth/second-factor/totp'));
}

/** Returns recovery codes if there were none. */
export async function confirmTotp(code: string): Promise<string[]> {
  const body = { code };
  return (await unwrap(api.POST('/api/v1/auth/second-factor/totp/confirm', { body }))).codes;
}

export async function removeTotp(): Promise<void> {
  await unwrap(api.DELETE('/api/v1/auth/second-factor/totp'));
}

export async function renewRecoveryCodes(): Promise<string[]> {
  return (await unwrap(api.POST('/api/v1/auth/second-factor/recovery-codes'))).codes;
}
