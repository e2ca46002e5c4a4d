// The settings form without its components: groups, validation, changes. Pure.
import type { MediaPolicy, SyncSettings } from '../api/types.ts';

export type SettingsErrors = Partial<Record<string, string>>;

/** A whole number with its limits; all intervals are seconds. Limits are those of the server and of Santa. */
interface NumberSetting {
  key: 'batch_size' | 'full_sync_interval';
  label: string;
  help: string;
  min: number;
  max: number;
}

export const NUMBER_SETTINGS: readonly NumberSetting[] = [
  {
    key: 'full_sync_interval',
    label: 'Seconds between syncs',
    help: 'How long a change takes to reach every machine. Santa accepts 60 or more.',
    min: 60,
    max: 86_400,
  },
  {
    key: 'batch_size',
    label: 'Events per upload',
    help: 'Larger uploads need fewer requests.',
    min: 1,
    max: 1000,
  },
];

/** Settings that are on or off. */
interface SwitchSetting {
  key:
    | 'enable_bundles'
    | 'enable_transitive_rules'
    | 'enable_all_event_upload'
    | 'disable_unknown_event_upload';
  label: string;
  help: string;
}

export const RULE_SWITCHES: readonly SwitchSetting[] = [
  {
    key: 'enable_bundles',
    label: 'Report whole apps',
    help: 'When a program inside an app is blocked, the Mac reports all programs of the app.',
  },
  {
    key: 'enable_transitive_rules',
    label: 'Transitive rules',
    help: 'Programs that an allowed compiler writes may run. When off, compiler rules allow only the compiler.',
  },
];

export const EVENT_SWITCHES: readonly SwitchSetting[] = [
  {
    key: 'enable_all_event_upload',
    label: 'Report every execution',
    help: 'Including those that a rule allowed. This can be a lot of events.',
  },
  {
    key: 'disable_unknown_event_upload',
    label: 'Do not report unknown programs',
    help: 'Programs that run in monitor mode because no rule matched are not reported.',
  },
];

export const MOUNT_FLAGS: readonly { value: MediaPolicy['flags'][number]; help: string }[] = [
  { value: 'rdonly', help: 'read only' },
  { value: 'noexec', help: 'no program may run from it' },
  { value: 'nosuid', help: 'set-user-ID is ignored' },
  { value: 'nobrowse', help: 'hidden in the Finder' },
  { value: 'noowners', help: 'owners are ignored' },
  { value: 'nodev', help: 'device files are ignored' },
  { value: 'async', help: 'written in the background' },
  { value: '-j', help: 'without journal' },
];

const MEDIA_KEYS = ['removable_media_policy', 'encrypted_removable_media_policy'] as const;

export const MEDIA_ACTIONS: readonly { value: MediaPolicy['action']; label: string }[] = [
  { value: 'allow', label: 'Allow' },
  { value: 'block', label: 'Block' },
  { value: 'remount', label: 'Mount with restrictions' },
];

/** Errors by the API's field names. */
export function settingsErrors(settings: SyncSettings): SettingsErrors {
  const errors: SettingsErrors = {};
  for (const { key, min, max } of NUMBER_SETTINGS) {
    const value = settings[key];
    if (!Number.isInteger(value) || value < min || value > max) {
      errors[key] = `Enter a whole number from ${min} to ${max}.`;
    }
  }
  for (const key of MEDIA_KEYS) {
    const policy = settings[key];
    if (policy?.action === 'remount' && policy.flags.length === 0) {
      errors[key] = 'Choose at least one restriction.';
    }
  }
  if (!/^$|^null$|^https:\/\/\S+$/i.test(settings.event_detail_url)) {
    errors['event_detail_url'] = 'Enter an address that starts with https://';
  }
  return errors;
}

/** The media policy for an action: restrictions belong to "remount" only, which starts with two sensible ones. */
export function withMediaAction(
  flags: MediaPolicy['flags'],
  action: MediaPolicy['action'],
): MediaPolicy {
  if (action !== 'remount') return { action, flags: [] };
  return { action, flags: flags.length > 0 ? flags : ['rdonly', 'noexec'] };
}

/** Whether there is something to save; the order of keys and of flags does not matter. */
export function sameSettings(one: SyncSettings, other: SyncSettings): boolean {
  return canonical(one) === canonical(other);
}

/** A canonical text: keys and flags in order, absent as null. */
function canonical(settings: SyncSettings): string {
  const sorted: Record<string, unknown> = { ...settings };
  for (const key of MEDIA_KEYS) {
    const policy = settings[key];
    sorted[key] = policy ? [policy.action, ...policy.flags.toSorted()] : null;
  }
  return JSON.stringify(Object.entries(sorted).toSorted(([a], [b]) => (a < b ? -1 : 1)));
}
