// The policy of a machine at an earlier moment, in words. Pure.
import type { MachinePolicyThen, RuleThen, SettingThen, SyncSettings } from '../api/types.ts';
import type { Tone } from '../ui/tone.ts';
import { exactTime } from './format.ts';
import {
  SETTING_DEFAULTS,
  SETTING_KINDS,
  describeSetting,
  type SettingKind,
} from './layer-settings.ts';

interface Named {
  label: string;
  tone: Tone;
  help: string;
}

export const DELIVERIES: Readonly<Record<RuleThen['delivery'], Named>> = {
  confirmed: { label: 'Confirmed', tone: 'ok', help: 'The Mac had confirmed exactly this rule.' },
  pending: { label: 'Not confirmed', tone: 'warn', help: 'The Mac had not confirmed this rule.' },
  removal_pending: {
    label: 'Removal not confirmed',
    tone: 'warn',
    help: 'The rule did not apply any more, but the Mac had not confirmed its removal.',
  },
  unknown: { label: 'Not kept', tone: 'neutral', help: 'Confirmations are not kept that long.' },
};

/** Identifies a rule among those of one moment. */
export function ruleKey(rule: Pick<RuleThen, 'rule_type' | 'identifier'>): string {
  return `${rule.rule_type} ${rule.identifier}`;
}

/** What the Mac had confirmed, as a sentence. */
export function confirmedThen(policy: MachinePolicyThen): string {
  const { confirmed } = policy;
  if (!policy.confirmations_kept) return 'Not kept that long.';
  if (!confirmed) return 'Nothing: its rules were not known.';
  const layers = confirmed.same_layers ? '' : ', with other layers or another Santa version';
  return `Policy ${confirmed.seq}, at ${exactTime(confirmed.at)}${layers}`;
}

interface SettingRow extends SettingThen {
  kind: SettingKind;
  text: string;
}

/** The settings that a layer or a monitor mode decided, in the order of the settings page. */
export function settingsThen(policy: MachinePolicyThen): SettingRow[] {
  const entries = Object.entries(policy.settings).map(([key, { value }]) => [key, value] as const);
  const values = { ...SETTING_DEFAULTS, ...Object.fromEntries(entries) } as SyncSettings;
  return SETTING_KINDS.flatMap((kind) => {
    const setting = policy.settings[kind.key];
    const temporary = kind.key === 'client_mode' && policy.monitor_mode !== null;
    if (!setting || (setting.layer === null && !temporary)) return [];
    return [{ ...setting, kind, text: describeSetting(kind, values) }];
  });
}
