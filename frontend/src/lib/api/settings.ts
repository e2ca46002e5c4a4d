// Settings that every machine gets at its next sync.
import { api, unwrap, type CallOptions } from './client.ts';
import type { LayerSettings, SettingsExplanation, SyncSettings } from './types.ts';

export function readSettings(options: CallOptions = {}): Promise<SyncSettings> {
  return unwrap(api.GET('/api/v1/settings', options));
}

export function saveSettings(settings: SyncSettings): Promise<SyncSettings> {
  return unwrap(api.PUT('/api/v1/settings', { body: settings }));
}

/** What one layer says itself. */
export function readLayerSettings(
  layer: string,
  options: CallOptions = {},
): Promise<LayerSettings> {
  return unwrap(api.GET('/api/v1/settings/layer', { params: { query: { layer } }, ...options }));
}

export function saveLayerSettings({
  layer,
  values,
  locked,
}: LayerSettings): Promise<LayerSettings> {
  // The schema names every setting; those that are left out are decided by lower layers.
  const body = { values: values as SyncSettings, locked };
  return unwrap(api.PUT('/api/v1/settings/layer', { params: { query: { layer } }, body }));
}

/** A machine's settings in force, each with the layer it comes from. */
export function explainSettings(
  machineId: string,
  options: CallOptions = {},
): Promise<SettingsExplanation> {
  const params = { query: { machine_id: machineId } };
  return unwrap(api.GET('/api/v1/explain/settings', { params, ...options }));
}
