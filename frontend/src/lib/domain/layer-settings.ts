// Settings one by one, as a layer owns them: their names, how they are edited, their values in words. Pure.
import type {
  LayerSettings,
  LayerSettingsPatch,
  MediaPolicy,
  SettingKey,
  SyncSettings,
} from '../api/types.ts';
import type { Fields } from './edit-merge.ts';
import { seconds } from './format.ts';
import { CLIENT_MODES } from './machines.ts';
import { EVENT_SWITCHES, MEDIA_ACTIONS, NUMBER_SETTINGS, RULE_SWITCHES } from './settings-form.ts';

type Choices = readonly { value: string; label: string }[];
export type SettingEditor =
  | { kind: 'choice'; choices: Choices }
  | { kind: 'switch' }
  | { kind: 'number'; min: number; max: number }
  | { kind: 'text'; code: boolean; longest: number }
  | { kind: 'media'; nullable: boolean };

export interface SettingKind {
  key: SettingKey;
  label: string;
  editor: SettingEditor;
}

const MODES: Choices = Object.entries(CLIENT_MODES).map(([value, { label }]) => ({ value, label }));
const FILE_ACCESS: Choices = [
  { value: 'NONE', label: 'As set by each rule' },
  { value: 'AUDIT_ONLY', label: 'Report only' },
  { value: 'DISABLE', label: 'Off' },
];

const PUSH: readonly SettingKind[] = [
  {
    key: 'push_notification_full_sync_interval',
    label: 'Seconds between syncs with push',
    editor: { kind: 'number', min: 60, max: 86_400 },
  },
  {
    key: 'push_notification_global_rule_sync_deadline',
    label: 'Deadline for global rules with push, in seconds',
    editor: { kind: 'number', min: 600, max: 86_400 },
  },
];

const PATHS: readonly SettingKind[] = [
  ['blocked_path_regex', 'Blocked paths', true, 4000] as const,
  ['allowed_path_regex', 'Allowed paths', true, 4000] as const,
  ['event_detail_url', 'Block dialog: button URL', false, 2000] as const,
  ['event_detail_text', 'Block dialog: button text', false, 200] as const,
].map(([key, label, code, longest]) => ({ key, label, editor: { kind: 'text', code, longest } }));

/** All settings, in the order of the settings page. */
export const SETTING_KINDS: readonly SettingKind[] = [
  { key: 'client_mode', label: 'Mode', editor: { kind: 'choice', choices: MODES } },
  ...NUMBER_SETTINGS.map(({ key, label, min, max }): SettingKind => {
    return { key, label, editor: { kind: 'number', min, max } };
  }),
  ...PUSH,
  ...[...RULE_SWITCHES, ...EVENT_SWITCHES].map(({ key, label }): SettingKind => {
    return { key, label, editor: { kind: 'switch' } };
  }),
  ...PATHS,
  {
    key: 'removable_media_policy',
    label: 'When a volume is attached',
    editor: { kind: 'media', nullable: false },
  },
  {
    key: 'encrypted_removable_media_policy',
    label: 'When an encrypted volume is attached',
    editor: { kind: 'media', nullable: true },
  },
  {
    key: 'override_file_access_action',
    label: 'File-access rules',
    editor: { kind: 'choice', choices: FILE_ACCESS },
  },
];

const SETTING_KEYS = SETTING_KINDS.map(({ key }) => key);

/** The initial value of a setting that is added to a layer: the server's default. */
export const SETTING_DEFAULTS: Readonly<SyncSettings> = {
  client_mode: 'MONITOR',
  batch_size: 50,
  full_sync_interval: 600,
  push_notification_full_sync_interval: 14_400,
  push_notification_global_rule_sync_deadline: 600,
  enable_bundles: true,
  enable_transitive_rules: false,
  enable_all_event_upload: false,
  disable_unknown_event_upload: false,
  allowed_path_regex: '',
  blocked_path_regex: '',
  removable_media_policy: { action: 'allow', flags: [] },
  encrypted_removable_media_policy: null,
  override_file_access_action: 'NONE',
  event_detail_url: '',
  event_detail_text: '',
};

/** The layer with a setting of its own, or with another value for it. */
export function withSetting(
  settings: LayerSettings,
  key: SettingKey,
  value: unknown,
): LayerSettings {
  return { ...settings, values: { ...settings.values, [key]: value } };
}

/** The layer without a setting, which then comes from lower layers. */
export function withoutSetting(settings: LayerSettings, key: SettingKey): LayerSettings {
  const entries = Object.entries(settings.values).filter(([name]) => name !== key);
  return {
    ...settings,
    values: Object.fromEntries(entries),
    locked: settings.locked.filter((name) => name !== key),
  };
}

export function withLock(settings: LayerSettings, key: SettingKey, lock: boolean): LayerSettings {
  const others = settings.locked.filter((name) => name !== key);
  return { ...settings, locked: lock ? [...others, key] : others };
}

/** Whether both are equal, regardless of the order of settings, locks and flags. */
export function sameLayer(one: LayerSettings, other: LayerSettings): boolean {
  const sorted = ({ values, locked }: LayerSettings) =>
    plain([Object.entries(values).toSorted(([a], [b]) => (a < b ? -1 : 1)), locked.toSorted()]);
  return sorted(one) === sorted(other);
}

/** What a draft changes of a layer: new values, settings that it no longer defines, and locks. */
export function layerPatch(draft: LayerSettings, saved: LayerSettings): LayerSettingsPatch {
  const differs = (key: SettingKey) => plain(draft.values[key]) !== plain(saved.values[key]);
  const changed = SETTING_KEYS.filter((key) => key in draft.values && differs(key));
  const patch: LayerSettingsPatch = {
    values: Object.fromEntries(changed.map((key) => [key, draft.values[key]])),
    unset: SETTING_KEYS.filter((key) => key in saved.values && !(key in draft.values)),
  };
  const locks = ({ locked }: LayerSettings) => plain(locked.toSorted());
  return locks(draft) === locks(saved) ? patch : { ...patch, locked: draft.locked };
}

const LOCK = 'lock:';

/** A layer by field: its settings, and its locks. */
export function layerFields({ values, locked }: LayerSettings): Fields {
  return { ...values, ...Object.fromEntries(locked.map((key) => [`${LOCK}${key}`, true])) };
}

export function layerOfFields(fields: Fields, theirs: LayerSettings): LayerSettings {
  const names = Object.keys(fields);
  const values = names.filter((name) => !name.startsWith(LOCK)).map((name) => [name, fields[name]]);
  const locked = names
    .filter((name) => name.startsWith(LOCK))
    .map((name) => name.slice(LOCK.length));
  const defined = Object.fromEntries(values) as Partial<SyncSettings>;
  return { ...theirs, values: defined, locked: locked.filter((key) => key in defined) };
}

export function settingFieldLabel(field: string): string {
  const key = field.replace(LOCK, '');
  const label = SETTING_KINDS.find((kind) => kind.key === key)?.label ?? key;
  return field.startsWith(LOCK) ? `Lock of ${label}` : label;
}

export function settingFieldWords(field: string, value: unknown): string {
  if (field.startsWith(LOCK)) return value ? 'Locked' : 'Not locked';
  if (value === undefined) return 'Not set here';
  const kind = SETTING_KINDS.find(({ key }) => key === field);
  return kind
    ? describeSetting(kind, { ...SETTING_DEFAULTS, [field]: value })
    : String(JSON.stringify(value));
}

function plain(value: unknown): string | undefined {
  return JSON.stringify(value);
}

/** Errors of a layer's own settings, by setting. */
export function layerErrors({ values }: LayerSettings): Partial<Record<SettingKey, string>> {
  const errors: Partial<Record<SettingKey, string>> = {};
  for (const { key, editor } of SETTING_KINDS) {
    const value = values[key];
    if (value === undefined) continue;
    if (editor.kind === 'number') {
      const number = value as number;
      if (!Number.isInteger(number) || number < editor.min || number > editor.max) {
        errors[key] = `Enter a whole number from ${editor.min} to ${editor.max}.`;
      }
    } else if (editor.kind === 'media') {
      const policy = value as MediaPolicy | null;
      if (policy?.action === 'remount' && policy.flags.length === 0) {
        errors[key] = 'Choose at least one restriction.';
      }
    }
  }
  const address = values.event_detail_url;
  if (address !== undefined && !/^$|^null$|^https:\/\/\S+$/i.test(address)) {
    errors.event_detail_url = 'Enter an address that starts with https://';
  }
  return errors;
}

/** A setting's value in words. */
export function describeSetting({ key, editor }: SettingKind, settings: SyncSettings): string {
  const value = settings[key];
  switch (editor.kind) {
    case 'choice':
      return editor.choices.find((choice) => choice.value === value)?.label ?? String(value);
    case 'switch':
      return value ? 'On' : 'Off';
    case 'number':
      return key === 'batch_size' ? String(value) : seconds(value as number);
    case 'text':
      return String(value) || '–';
    case 'media':
      return describeMedia(value as MediaPolicy | null | undefined);
  }
}

function describeMedia(policy: MediaPolicy | null | undefined): string {
  if (!policy) return 'Same as other volumes';
  const action = MEDIA_ACTIONS.find(({ value }) => value === policy.action)?.label ?? policy.action;
  return policy.flags.length > 0 ? `${action}: ${policy.flags.join(', ')}` : action;
}
