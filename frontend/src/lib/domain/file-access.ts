// File accesses in words (Santa's sync protocol, FileAccessDecision). Pure.
import type { Tone } from '../ui/tone.ts';

interface Words {
  value: string;
  label: string;
  tone: Tone;
}

export const ACCESS_DECISIONS: readonly Words[] = [
  { value: 'FILE_ACCESS_DECISION_DENIED', label: 'Denied', tone: 'danger' },
  {
    value: 'FILE_ACCESS_DECISION_DENIED_INVALID_SIGNATURE',
    label: 'Denied, invalid signature',
    tone: 'danger',
  },
  { value: 'FILE_ACCESS_DECISION_AUDIT_ONLY', label: 'Reported', tone: 'info' },
];

/** A decision as text, also for unknown ones of a newer Santa. */
export function accessDecision(word: string): Words {
  const known = ACCESS_DECISIONS.find(({ value }) => value === word);
  return (
    known ?? { value: word, label: word.replace('FILE_ACCESS_DECISION_', ''), tone: 'neutral' }
  );
}

/** The last part of a path, the usual name of a program. */
export function baseName(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1) || path;
}
