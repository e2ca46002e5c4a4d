// What a person may know whose program was blocked. Needs no log-in.
import { api, unwrap, type CallOptions } from './client.ts';
import type { BlockedProgram, Contact } from './types.ts';

export function blockedProgram(
  sha256: string,
  machine_id: string | undefined,
  options: CallOptions = {},
): Promise<BlockedProgram> {
  const params = { path: { sha256 }, query: { machine_id } };
  return unwrap(api.GET('/api/v1/blocked/{sha256}', { params, ...options }));
}

/** Whom to ask, as the administrators wrote it. */
export async function blockedContact(options: CallOptions = {}): Promise<Contact> {
  return { ...NOBODY, ...(await unwrap(api.GET('/api/v1/blocked/contact', options))) };
}

export async function saveBlockedContact(body: Contact): Promise<Contact> {
  return { ...NOBODY, ...(await unwrap(api.PUT('/api/v1/blocked/contact', { body }))) };
}

const NOBODY: Contact = { text: '', url: '' };
