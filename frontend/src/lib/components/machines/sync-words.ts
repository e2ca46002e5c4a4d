// Texts for the details of a sync.
import type { Machine, NoticeKind } from '../../api/types.ts';
import type { Tone } from '../../ui/tone.ts';

export const COUNT_LABELS: readonly (readonly [keyof Machine['rule_counts'], string])[] = [
  ['cdhash', 'CDHash'],
  ['binary', 'Binary'],
  ['signingid', 'Signing ID'],
  ['certificate', 'Certificate'],
  ['teamid', 'Team ID'],
  ['compiler', 'Compiler'],
  ['transitive', 'Transitive'],
];

export const NOTICE_TONES: Readonly<Record<NoticeKind, Tone>> = {
  retired: 'info',
  credential_refused: 'danger',
  credential_released: 'warn',
  secret_refused: 'danger',
  previous_secret: 'warn',
  identity_conflict: 'danger',
  counts_differ: 'warn',
  tags_withheld: 'warn',
  client_unknown: 'info',
  rules_undelivered: 'warn',
  settings_undelivered: 'info',
};

/** "client_requested" → "Client requested": kinds and reasons of a sync are names given by the server. */
export function sentence(name: string): string {
  const words = name.toLowerCase().replaceAll(/[_-]+/g, ' ').trim();
  return words.charAt(0).toUpperCase() + words.slice(1);
}
