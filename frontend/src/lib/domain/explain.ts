// An explanation in words. Pure.
import type { Explanation, TargetExplanation } from '../api/types.ts';
import type { Tone } from '../ui/tone.ts';
import { IDENTIFIER_KINDS } from './identifiers.ts';
import { POLICY_KINDS } from './policies.ts';

export type Outcome = TargetExplanation['candidates'][number]['outcome'];

export const OUTCOMES: Readonly<Record<Outcome, { label: string; tone: Tone }>> = {
  wins: { label: 'Wins', tone: 'ok' },
  loses: { label: 'Loses', tone: 'neutral' },
  masks: { label: 'Takes away', tone: 'warn' },
  not_supported: { label: 'Not for this Santa', tone: 'warn' },
};

/** What happens to the program on this Mac, in a sentence. */
export function verdict(explanation: Explanation): string {
  const target = explanation.targets.find((one) => one.rule_type === explanation.decided_by);
  if (!target?.policy) {
    return 'No rule is in force for it: path patterns decide, and after them the mode of the Mac.';
  }
  const type = IDENTIFIER_KINDS[target.rule_type].label;
  const { label, help } = POLICY_KINDS[target.policy];
  return `${label}, by its ${type} rule. ${help}`;
}

/** Whether the Mac is known to follow this already. */
export function standing(explanation: Explanation): string {
  return explanation.confirmed
    ? 'The Mac has confirmed these rules.'
    : 'The Mac has not confirmed these rules yet; it gets them at its next sync.';
}
