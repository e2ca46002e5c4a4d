// Numbers of the whole fleet for the first page.
import { api, unwrap, type CallOptions } from './client.ts';
import type { Overview } from './types.ts';

export function readOverview(options: CallOptions = {}): Promise<Overview> {
  return unwrap(api.GET('/api/v1/overview', options));
}
