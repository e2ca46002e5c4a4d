// Words for the details of a sync.
import type { Machine } from '../../api/types.ts';

export const COUNT_LABELS: readonly (readonly [keyof Machine['rule_counts'], string])[] = [
  ['cdhash', 'CDHash'],
  ['binary', 'Binary'],
  ['signingid', 'Signing ID'],
  ['certificate', 'Certificate'],
  ['teamid', 'Team ID'],
  ['compiler', 'Compiler'],
  ['transitive', 'Transitive'],
];

/** "client_requested" → "Client requested": kinds and reasons of a sync are names given by the server. */
export function sentence(name: string): string {
  const words = name.toLowerCase().replaceAll(/[_-]+/g, ' ').trim();
  return words.charAt(0).toUpperCase() + words.slice(1);
}
