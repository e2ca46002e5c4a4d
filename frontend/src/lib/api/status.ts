// The state of the server, for operators.
import { api, unwrap, type CallOptions } from './client.ts';
import type { ServerStatus } from './types.ts';

export function readStatus(options: CallOptions = {}): Promise<ServerStatus> {
  return unwrap(api.GET('/api/v1/status', options));
}
