// What a rule does, and which policies apply to which rule type (Santa's sync protocol, Policy).
import type { Policy, RuleType } from '../api/types.ts';
import type { Tone } from '../ui/tone.ts';

interface PolicyKind {
  label: string;
  tone: Tone;
  help: string;
}

export const POLICY_KINDS: Readonly<Record<Policy, PolicyKind>> = {
  ALLOWLIST: { label: 'Allow', tone: 'ok', help: 'The program may run.' },
  ALLOWLIST_COMPILER: {
    label: 'Allow compiler',
    tone: 'ok',
    help: 'The program may run, and so may what it writes, when transitive rules are enabled.',
  },
  BLOCKLIST: {
    label: 'Block',
    tone: 'danger',
    help: 'The program is blocked and the user sees a message.',
  },
  SILENT_BLOCKLIST: {
    label: 'Block silently',
    tone: 'danger',
    help: 'The program is blocked without a message.',
  },
  SILENT_GUI_BLOCKLIST: {
    label: 'Block, no dialog',
    tone: 'danger',
    help: 'Blocked without a dialog; the terminal still shows a message. Needs Santa 2026.6.',
  },
  SILENT_TTY_BLOCKLIST: {
    label: 'Block, dialog only',
    tone: 'danger',
    help: 'Blocked with a dialog but no message in the terminal. Needs Santa 2026.6.',
  },
  CEL: {
    label: 'Expression',
    tone: 'info',
    help: 'A CEL expression decides at each execution. Needs Santa 2025.6.',
  },
  NONE: {
    label: 'No rule',
    tone: 'neutral',
    help: 'Masks the rules of lower layers and sets none.',
  },
};

export const POLICIES = Object.keys(POLICY_KINDS) as Policy[];

/** The layer of every machine. */
export const GLOBAL_LAYER = 'global';

const COMPILER_TYPES: readonly RuleType[] = ['BINARY', 'SIGNINGID', 'CDHASH'];

/**
 * The policies that apply to a rule type in a layer: Santa never matches a compiler rule by
 * certificate or team, and below the global layer there is nothing to mask.
 */
export function policiesFor(type: RuleType, layer: string = GLOBAL_LAYER): Policy[] {
  return POLICIES.filter((policy) => {
    if (policy === 'ALLOWLIST_COMPILER') return COMPILER_TYPES.includes(type);
    return policy !== 'NONE' || layer !== GLOBAL_LAYER;
  });
}

const SPEECHLESS: readonly Policy[] = [
  'ALLOWLIST',
  'ALLOWLIST_COMPILER',
  'SILENT_BLOCKLIST',
  'NONE',
];

/** Whether the user sees a block dialog, so that a custom text or address has an effect. */
export function showsMessage(policy: Policy): boolean {
  return !SPEECHLESS.includes(policy);
}
