// Settings that every machine gets at its next sync.
import { api, ifMatch, unwrap, type CallOptions } from './client.ts';
import { globalLayer, globalSettings, type GlobalSettings } from '../domain/global-settings.ts';
import { GLOBAL_LAYER } from '../domain/policies.ts';
import { layerPatch } from '../domain/layer-settings.ts';
import type { LayerSettings, SettingsExplanation } from './types.ts';

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
  reason: string,
): Promise<GlobalSettings> {
  const layer = globalLayer(draft, saved);
  const before = {
    ...layer,
    values: Object.fromEntries(saved.owned.map((key) => [key, saved.values[key]])),
    locked: saved.locked,
  };
  const own = await saveLayerSettings(layer, before, reason);
  return globalSettings(draft.values, own);
}

/** The settings defined in one layer. */
export function readLayerSettings(
  layer: string,
  options: CallOptions = {},
): Promise<LayerSettings> {
  return unwrap(api.GET('/api/v1/settings/layer', { params: { query: { layer } }, ...options }));
}

/** Saves only what differs, for the version that was read. */
export function saveLayerSettings(
  draft: LayerSettings,
  saved: LayerSettings,
  reason: string,
): Promise<LayerSettings> {
  const params = { query: { layer: draft.layer }, header: ifMatch(saved) };
  const body = { ...layerPatch(draft, saved), reason };
  return unwrap(api.PATCH('/api/v1/settings/layer', { params, body }));
}

/** A machine's settings in force, each with the layer it comes from. */
export function explainSettings(
  machineId: string,
  options: CallOptions = {},
): Promise<SettingsExplanation> {
  const params = { query: { machine_id: machineId } };
  return unwrap(api.GET('/api/v1/explain/settings', { params, ...options }));
}
