// Provisioning by SCIM: the tokens of directories, and what they have sent.
import { api, unwrap, type CallOptions } from './client.ts';
import type {
  Page,
  Position,
  ScimState,
  ScimToken,
  ScimTokenCreate,
  ScimTokenSecret,
} from './types.ts';

export function readScim(options: CallOptions = {}): Promise<ScimState> {
  return unwrap(api.GET('/api/v1/scim', options));
}

export function listScimTokens(
  position: Position,
  options: CallOptions = {},
): Promise<Page<ScimToken>> {
  return unwrap(api.GET('/api/v1/scim/tokens', { params: { query: position }, ...options }));
}

export function createScimToken(wanted: ScimTokenCreate): Promise<ScimTokenSecret> {
  return unwrap(api.POST('/api/v1/scim/tokens', { body: wanted }));
}

/** Another secret; the present one works until a moment, or no longer. */
export function rotateScimToken(
  id: ScimToken['id'],
  until: string | null,
): Promise<ScimTokenSecret> {
  const params = { path: { scim_token_id: id } };
  const body = { previous_valid_until: until };
  return unwrap(api.POST('/api/v1/scim/tokens/{scim_token_id}/rotate', { params, body }));
}

export async function revokeScimToken(id: ScimToken['id']): Promise<void> {
  const params = { path: { scim_token_id: id } };
  await unwrap(api.DELETE('/api/v1/scim/tokens/{scim_token_id}', { params }));
}
