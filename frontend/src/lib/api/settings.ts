// Settings that every machine gets at its next sync.
import { api, unwrap, type CallOptions } from './client.ts';
import { globalLayer, globalSettings, type GlobalSettings } from '../domain/global-settings.ts';
import { GLOBAL_LAYER } from '../domain/policies.ts';
import type { LayerSettings, SettingsExplanation, SyncSettings } from './types.ts';

/** The settings of all machines, complete, with those that the global layer defines and locks. */
export async function readSettings(options: CallOptions = {}): Promise<GlobalSettings> {
  const [values, own] = await Promise.all([
    unwrap(api.GET('/api/v1/settings', options)),
    readLayerSettings(GLOBAL_LAYER, options),
  ]);
  return globalSettings(values, own);
}

/** Values and locks in one step. */
export async function saveSettings(
  draft: GlobalSettings,
  saved: GlobalSettings,
): Promise<GlobalSettings> {
  return globalSettings(draft.values, await saveLayerSettings(globalLayer(draft, saved)));
}

/** The settings defined in one layer. */
export function readLayerSettings(
  layer: string,
  options: CallOptions = {},
): Promise<LayerSettings> {
  return unwrap(api.GET('/api/v1/settings/layer', { params: { query: { layer } }, ...options }));
}

export function saveLayerSettings(
  { layer, values, locked }: LayerSettings,
  reason = '',
): Promise<LayerSettings> {
  // The schema names every setting; omitted ones come from lower layers.
  const body = { values: values as SyncSettings, locked, reason };
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
