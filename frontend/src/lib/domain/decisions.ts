// What Santa decided about an execution and why, in plain words (sync protocol, Decision).
import type { Tone } from '../ui/tone.ts';

interface DecisionText {
  label: string;
  tone: Tone;
  /** One sentence for someone who asks why. */
  reason: string;
}

const CAUSES: Readonly<Record<string, string>> = {
  UNKNOWN: 'no rule matched',
  BINARY: 'a rule for this exact file matched',
  CERTIFICATE: 'a rule for its signing certificate matched',
  SCOPE: 'a path expression or Santa’s scope decided',
  TEAMID: 'a rule for its developer team matched',
  SIGNINGID: 'a rule for its signing ID matched',
  CDHASH: 'a rule for this exact signed build matched',
  PLATFORM: 'it is one of Apple’s own programs and no rule matched',
  CEL_FALLBACK: 'a fallback expression decided',
  BINARY_MISMATCH: 'the file changed between the check and the start',
};

/** Group filters of the events list, as the API names them. */
export const DECISION_GROUPS = [
  { value: 'blocked', label: 'Blocked' },
  { value: 'unknown', label: 'Unknown' },
  { value: 'allowed', label: 'Allowed' },
] as const;

/** Reads a decision of the protocol; unknown ones are shown unchanged. */
export function describeDecision(decision: string): DecisionText {
  if (decision === 'ALLOW_UNKNOWN') {
    return {
      label: 'Unknown, allowed',
      tone: 'warn',
      reason: 'Allowed in Monitor mode: no rule matched. Lockdown would block it.',
    };
  }
  if (decision === 'BLOCK_UNKNOWN') {
    return {
      label: 'Blocked',
      tone: 'danger',
      reason: 'Blocked because of Lockdown or Standalone mode: no rule matched.',
    };
  }
  if (decision === 'BUNDLE_BINARY') {
    return { label: 'In a bundle', tone: 'neutral', reason: 'Listed as part of an app; not run.' };
  }
  const [, verb, key] = /^(ALLOW|BLOCK)_(.+)$/.exec(decision) ?? [];
  if (verb === undefined || key === undefined) {
    return { label: decision, tone: 'neutral', reason: `Santa reported “${decision}”.` };
  }
  const blocked = verb === 'BLOCK';
  const cause = CAUSES[key] ?? `of “${key}”`;
  return {
    label: blocked ? 'Blocked' : 'Allowed',
    tone: blocked ? 'danger' : 'ok',
    reason: `${blocked ? 'Blocked' : 'Allowed'}: ${cause}.`,
  };
}
