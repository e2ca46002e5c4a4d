// Settings that every machine gets at its next sync.
import { api, unwrap, type CallOptions } from './client.ts';
import type { SyncSettings } from './types.ts';

export function readSettings(options: CallOptions = {}): Promise<SyncSettings> {
  return unwrap(api.GET('/api/v1/settings', options));
}

export function saveSettings(settings: SyncSettings): Promise<SyncSettings> {
  return unwrap(api.PUT('/api/v1/settings', { body: settings }));
}
