// The public page about a blocked program. Needs no login.
import { api, ifMatch, unwrap, type CallOptions } from './client.ts';
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
export function blockedContact(options: CallOptions = {}): Promise<Contact> {
  return unwrap(api.GET('/api/v1/blocked/contact', options));
}

export function saveBlockedContact({ text, url }: Contact, saved: Contact): Promise<Contact> {
  const params = { header: ifMatch(saved) };
  return unwrap(api.PUT('/api/v1/blocked/contact', { params, body: { text, url } }));
}
