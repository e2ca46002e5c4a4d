// An explanation in words. Pure.
import type { Explanation, TargetExplanation } from '../api/types.ts';
import type { Tone } from '../ui/tone.ts';
import { IDENTIFIER_KINDS } from './identifiers.ts';
import { describeLayer } from './layers.ts';
import { CLIENT_MODES } from './machines.ts';
import { POLICY_KINDS } from './policies.ts';

export type Outcome = TargetExplanation['candidates'][number]['outcome'];

export const OUTCOMES: Readonly<Record<Outcome, { label: string; tone: Tone }>> = {
  wins: { label: 'Used', tone: 'ok' },
  outranked: { label: 'Not reached', tone: 'neutral' },
  loses: { label: 'Overridden', tone: 'neutral' },
  masks: { label: 'Masks lower rules', tone: 'warn' },
  not_supported: { label: 'Not supported by this Santa version', tone: 'warn' },
};

/** What happens to the program on this Mac, in a sentence. */
export function verdict(explanation: Explanation): string {
  const target = explanation.targets.find((one) => one.rule_type === explanation.decided_by);
  if (!target?.policy) return withoutRule(explanation);
  const type = IDENTIFIER_KINDS[target.rule_type].label;
  const { label, help } = POLICY_KINDS[target.policy];
  return `${label}, by its ${type} rule. ${help}`;
}

/** The effect of the mode on a program without a rule. Paths are evaluated on the Mac only. */
function withoutRule({ client_mode, mode_layer, monitored }: Explanation): string {
  const source = monitored
    ? 'temporary Monitor mode'
    : mode_layer === null
      ? 'the default mode'
      : `layer: ${describeLayer(mode_layer)}`;
  const mode = `${CLIENT_MODES[client_mode].label} (${source})`;
  switch (client_mode) {
    case 'LOCKDOWN':
      return `Blocked because of ${mode}: no rule is in force for it. Only an allowed path lets it run.`;
    case 'STANDALONE':
      return `Blocked because of ${mode} until the user approves it: no rule is in force for it. Only an allowed path lets it run.`;
    case 'MONITOR':
      return `Allowed because of ${mode}: no rule is in force for it. Only a blocked path stops it.`;
  }
}

/** Whether the Mac has confirmed this. */
export function confirmation(explanation: Explanation): string {
  return explanation.confirmed
    ? 'The Mac has confirmed these rules.'
    : 'The Mac has not confirmed these rules yet; it gets them at its next sync.';
}
