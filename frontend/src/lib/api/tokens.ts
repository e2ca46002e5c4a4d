// API tokens: one's own, and those of service accounts.
import { api, unwrap, type CallOptions } from './client.ts';
import type { Page, Position, Token, TokenCreate, TokenSecret } from './types.ts';

/** The tokens of a user; one's own without one. */
export function listTokens(
  position: Position,
  owner: number | null = null,
  options: CallOptions = {},
): Promise<Page<Token>> {
  const query = { ...position, ...(owner === null ? {} : { user_id: owner }) };
  return unwrap(api.GET('/api/v1/tokens', { params: { query }, ...options }));
}

export function createToken(wanted: TokenCreate): Promise<TokenSecret> {
  return unwrap(api.POST('/api/v1/tokens', { body: wanted }));
}

/** Another secret; the present one works until a moment, or no longer. */
export function rotateToken(id: Token['id'], until: string | null): Promise<TokenSecret> {
  const params = { path: { token_id: id } };
  const body = { previous_valid_until: until };
  return unwrap(api.POST('/api/v1/tokens/{token_id}/rotate', { params, body }));
}

export async function revokeToken(id: Token['id']): Promise<void> {
  await unwrap(api.DELETE('/api/v1/tokens/{token_id}', { params: { path: { token_id: id } } }));
}
