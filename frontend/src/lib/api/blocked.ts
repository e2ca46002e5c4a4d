// The public page about a blocked program. Needs no login.
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

/** The contact that administrators have set. */
export async function blockedContact(options: CallOptions = {}): Promise<Contact> {
  return { ...NOBODY, ...(await unwrap(api.GET('/api/v1/blocked/contact', options))) };
}

export async function saveBlockedContact(body: Contact): Promise<Contact> {
  return { ...NOBODY, ...(await unwrap(api.PUT('/api/v1/blocked/contact', { body }))) };
}

const NOBODY: Contact = { text: '', url: '' };
