// Layers of rules and settings.
import { api, unwrap, type CallOptions } from './client.ts';
import type { Layer } from './types.ts';

/** All layers that hold something or could, the lowest first. */
export function listLayers(options: CallOptions = {}): Promise<Layer[]> {
  return unwrap(api.GET('/api/v1/layers', options));
}

/** Only those that a permission of the user reaches. */
export function layersWithin(
  permission: 'rule:write' | 'rule:export',
  options: CallOptions = {},
): Promise<Layer[]> {
  return unwrap(api.GET('/api/v1/layers', { params: { query: { permission } }, ...options }));
}

/** How many Macs are in a layer now, whether they have synced since or not. */
export async function countMembers(layer: string, options: CallOptions = {}): Promise<number> {
  const params = { query: { layer } };
  return (await unwrap(api.GET('/api/v1/layers/members', { params, ...options }))).machines;
}
