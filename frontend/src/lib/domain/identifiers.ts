// What a rule's identifier must look like for each rule type, as Santa's sync protocol asks (Rule.identifier).
// Pure; the server validates again.
import type { RuleType } from '../api/types.ts';

interface IdentifierKind {
  label: string;
  /** What it matches, for someone choosing a type. */
  matches: string;
  /** How to write it. */
  form: string;
  example: string;
  pattern: RegExp;
  /** The form in which Santa stores it. */
  normalize: (text: string) => string;
}

const lower = (text: string) => text.toLowerCase();
const upper = (text: string) => text.toUpperCase();

/** From the narrowest to the widest: Santa's order of evaluation. */
export const RULE_TYPES: readonly RuleType[] = [
  'CDHASH',
  'BINARY',
  'SIGNINGID',
  'CERTIFICATE',
  'TEAMID',
];

export const IDENTIFIER_KINDS: Readonly<Record<RuleType, IdentifierKind>> = {
  CDHASH: {
    label: 'CDHash',
    matches: 'one signed build of a program',
    form: '40 hexadecimal digits',
    example: 'dbe8c398…',
    pattern: /^[0-9a-f]{40}$/i,
    normalize: lower,
  },
  BINARY: {
    label: 'Binary',
    matches: 'one program file, by its SHA-256',
    form: '64 hexadecimal digits',
    example: 'f6b0d2c5…',
    pattern: /^[0-9a-f]{64}$/i,
    normalize: lower,
  },
  SIGNINGID: {
    label: 'Signing ID',
    matches: 'every version of one program of a developer',
    form: 'TEAMID:identifier, or platform:identifier for Apple’s own programs',
    example: 'ABCDE12345:com.example.app',
    pattern: /^(?:[0-9a-z]{10}|platform):\S+$/i,
    normalize: normalizeSigningId,
  },
  CERTIFICATE: {
    label: 'Certificate',
    matches: 'everything signed with one leaf certificate',
    form: '64 hexadecimal digits: the SHA-256 of the leaf certificate',
    example: '1e3b90ac…',
    pattern: /^[0-9a-f]{64}$/i,
    normalize: lower,
  },
  TEAMID: {
    label: 'Team ID',
    matches: 'everything a developer signs',
    form: '10 letters and digits',
    example: 'ABCDE12345',
    pattern: /^[0-9a-z]{10}$/i,
    normalize: upper,
  },
};

function normalizeSigningId(text: string): string {
  const colon = text.indexOf(':');
  const team = text.slice(0, colon);
  const isPlatform = team.toLowerCase() === 'platform';
  return `${isPlatform ? 'platform' : team.toUpperCase()}${text.slice(colon)}`;
}

/** The identifier without surrounding space, in the form Santa stores it. */
export function normalizeIdentifier(type: RuleType, text: string): string {
  const trimmed = text.trim();
  const { pattern, normalize } = IDENTIFIER_KINDS[type];
  return pattern.test(trimmed) ? normalize(trimmed) : trimmed;
}

/** The error of an identifier, or nothing. */
export function identifierError(type: RuleType, text: string): string | null {
  const trimmed = text.trim();
  const kind = IDENTIFIER_KINDS[type];
  if (trimmed === '') return 'Enter an identifier.';
  if (kind.pattern.test(trimmed)) return null;
  if (/\s/.test(trimmed)) return 'An identifier cannot contain spaces.';
  const hint = otherTypeFor(type, trimmed);
  const expected = `A ${kind.label} identifier is ${kind.form}`;
  if (/^[0-9a-f]+$/i.test(trimmed) && /^\d+ hex/.test(kind.form)) {
    return `${expected}; this has ${trimmed.length}.${hint}`;
  }
  return `${expected}.${hint}`;
}

function otherTypeFor(type: RuleType, identifier: string): string {
  const fitting = RULE_TYPES.filter(
    (other) => other !== type && IDENTIFIER_KINDS[other].pattern.test(identifier),
  );
  if (fitting.length === 0) return '';
  return ` It fits ${fitting.map((other) => IDENTIFIER_KINDS[other].label).join(' or ')}.`;
}
