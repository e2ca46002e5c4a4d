// The settings of all machines with their locks, and when a change puts machines into Lockdown. Pure.
import type { LayerSettings, SettingKey, SyncSettings } from '../api/types.ts';
import { GLOBAL_LAYER } from './policies.ts';
import type { Fields } from './edit-merge.ts';
import {
  SETTING_DEFAULTS,
  SETTING_KINDS,
  layerFields,
  layerOfFields,
  withLock,
} from './layer-settings.ts';
import { sameSettings } from './settings-form.ts';

/** Complete: settings that the global layer does not define have the server's default. */
export interface GlobalSettings {
  values: SyncSettings;
  locked: string[];
  /** The settings defined in the layer, even if they equal the default. */
  owned: readonly SettingKey[];
  etag: string;
}

export function globalSettings(values: SyncSettings, own: LayerSettings): GlobalSettings {
  const owned = Object.keys(own.values) as SettingKey[];
  return { values, locked: own.locked, owned, etag: own.etag };
}

export function sameGlobal(one: GlobalSettings, other: GlobalSettings): boolean {
  const locks = ({ locked }: GlobalSettings) => locked.toSorted().join();
  return sameSettings(one.values, other.values) && locks(one) === locks(other);
}

/**
 * What the global layer has to define for the draft. Untouched settings keep the server's default, so that a better
 * default of a later release takes effect.
 */
export function globalLayer(draft: GlobalSettings, saved: GlobalSettings): LayerSettings {
  const kept = SETTING_KINDS.map(({ key }) => key).filter(
    (key) =>
      saved.owned.includes(key) ||
      draft.locked.includes(key) ||
      !sameSettings({ ...saved.values, [key]: draft.values[key] }, saved.values),
  );
  return {
    layer: GLOBAL_LAYER,
    values: Object.fromEntries(kept.map((key) => [key, draft.values[key]])),
    locked: draft.locked,
    etag: saved.etag,
  };
}

/** The settings after the global layer was read again; what it does not define has its default. */
export function rereadGlobal(own: LayerSettings): GlobalSettings {
  return globalSettings({ ...SETTING_DEFAULTS, ...own.values }, own);
}

/** The settings by field, with locks. */
export function globalFields({ values, locked }: GlobalSettings): Fields {
  return layerFields({ layer: GLOBAL_LAYER, values, locked, etag: '' });
}

export function globalOfFields(fields: Fields, theirs: GlobalSettings): GlobalSettings {
  const { values, locked } = layerOfFields(fields, {
    layer: GLOBAL_LAYER,
    values: {},
    locked: [],
    etag: '',
  });
  return { ...theirs, values: { ...theirs.values, ...values }, locked };
}

export function withGlobalLock(locked: string[], key: SettingKey, lock: boolean): string[] {
  return withLock({ layer: GLOBAL_LAYER, values: {}, locked, etag: '' }, key, lock).locked;
}

type Mode = Pick<LayerSettings, 'locked'> & { values: Partial<SyncSettings> };

/** Whether saving puts further machines into Lockdown: by a new mode, or a lock on it. */
export function entersLockdown(after: Mode, before: Mode): boolean {
  if (after.values.client_mode !== 'LOCKDOWN') return false;
  const locks = ({ locked }: Mode) => locked.includes('client_mode');
  return before.values.client_mode !== 'LOCKDOWN' || (locks(after) && !locks(before));
}
