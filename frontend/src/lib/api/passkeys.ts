// Passkeys: the browser makes and uses them, the server checks what it sends.
import {
  creationOptions,
  requestOptions,
  textOf,
  type CreationJson,
  type RequestJson,
} from '../domain/webauthn.ts';
import { api, unwrap, type CallOptions } from './client.ts';
import { ApiError } from './errors.ts';
import type { AddedPasskey, PasskeyList, User } from './types.ts';

/** Whether this browser has passkeys, here. */
export function supportsPasskeys(): boolean {
  return typeof PublicKeyCredential === 'function' && 'credentials' in navigator;
}

export function listPasskeys(options: CallOptions = {}): Promise<PasskeyList> {
  return unwrap(api.GET('/api/v1/auth/passkeys', options));
}

export async function addPasskey(name: string): Promise<AddedPasskey> {
  const asked = await unwrap(api.POST('/api/v1/auth/passkeys/options'));
  const publicKey = creationOptions(asked.public_key as unknown as CreationJson);
  const made = await credential(navigator.credentials.create({ publicKey }));
  const { clientDataJSON, attestationObject } = made.response as AuthenticatorAttestationResponse;
  const body = {
    name,
    client_data: textOf(clientDataJSON),
    attestation: textOf(attestationObject),
  };
  return unwrap(api.POST('/api/v1/auth/passkeys', { body }));
}

export async function removePasskey(id: number): Promise<void> {
  const params = { path: { passkey_id: id } };
  await unwrap(api.DELETE('/api/v1/auth/passkeys/{passkey_id}', { params }));
}

export async function signInWithPasskey(): Promise<User> {
  const asked = await unwrap(api.POST('/api/v1/auth/passkeys/sign-in/options'));
  const body = await used(asked.public_key);
  return unwrap(api.POST('/api/v1/auth/passkeys/sign-in', { body }));
}

/** Proves with a passkey who is logged in; the session gets another id. */
export async function reauthenticateWithPasskey(): Promise<void> {
  const asked = await unwrap(api.POST('/api/v1/auth/passkeys/reauthenticate/options'));
  const body = await used(asked.public_key);
  await unwrap(api.POST('/api/v1/auth/passkeys/reauthenticate', { body }));
}

async function used(asked: unknown) {
  const publicKey = requestOptions(asked as RequestJson);
  const found = await credential(navigator.credentials.get({ publicKey }));
  const response = found.response as AuthenticatorAssertionResponse;
  return {
    credential_id: textOf(found.rawId),
    client_data: textOf(response.clientDataJSON),
    authenticator_data: textOf(response.authenticatorData),
    signature: textOf(response.signature),
    user_handle: response.userHandle ? textOf(response.userHandle) : null,
  };
}

/** The browser reports a refusal, a timeout and a missing passkey as the same error. */
async function credential(asked: Promise<Credential | null>): Promise<PublicKeyCredential> {
  try {
    const found = await asked;
    if (found instanceof PublicKeyCredential) return found;
  } catch (thrown) {
    if (!(thrown instanceof DOMException)) throw thrown;
    if (thrown.name === 'InvalidStateError')
      throw new ApiError(0, 'This device already has a passkey for your account.');
    if (thrown.name !== 'NotAllowedError' && thrown.name !== 'AbortError')
      throw new ApiError(0, `The browser could not use the passkey: ${thrown.message}`);
  }
  throw new ApiError(0, 'No passkey was used. Try again, or choose another way.');
}
