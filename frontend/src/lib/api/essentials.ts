// Programs that no change of the policy may block.
import { api, ifMatch, unwrap, type CallOptions } from './client.ts';
import type { EssentialCreate, OwnEssential } from './types.ts';

export function listOwnEssentials(options: CallOptions = {}): Promise<OwnEssential[]> {
  return unwrap(api.GET('/api/v1/essentials', options));
}

export function createEssential(wanted: EssentialCreate): Promise<OwnEssential> {
  return unwrap(api.POST('/api/v1/essentials', { body: wanted }));
}

export function changeEssential(
  seen: OwnEssential,
  wanted: EssentialCreate,
): Promise<OwnEssential> {
  const params = { path: { essential_id: seen.id }, header: ifMatch(seen) };
  return unwrap(api.PATCH('/api/v1/essentials/{essential_id}', { params, body: wanted }));
}

export async function removeEssential(seen: OwnEssential): Promise<void> {
  const params = { path: { essential_id: seen.id }, header: ifMatch(seen) };
  await unwrap(api.DELETE('/api/v1/essentials/{essential_id}', { params }));
}
