// Possible rules for an observed execution, from the narrowest to the widest.
import type { ExecEvent, Policy, Program, RuleType } from '../api/types.ts';
import { IDENTIFIER_KINDS, RULE_TYPES, normalizeIdentifier } from './identifiers.ts';
import { reported } from './reported.ts';

export type Candidates = Partial<Record<RuleType, string>>;

/** A rule form's starting values. */
export interface RuleDraft {
  type: RuleType;
  policy: Policy;
  /** Identifiers to offer when the type changes. */
  candidates: Candidates;
  /** What the rule is about, for the form's heading. */
  subject?: string;
}

/** The identifiers an event offers, in the order of RULE_TYPES; those that do not fit the type are left out. */
export function candidatesOf(event: ExecEvent): Candidates {
  return candidates(event.file_sha256, event);
}

/** The identifiers a known program offers. */
export function candidatesOfProgram(program: Program): Candidates {
  return candidates(program.sha256, program);
}

type Signed = Pick<ExecEvent, 'cdhash' | 'signing_id' | 'certificate_sha256' | 'team_id'>;

function candidates(sha256: string, signed: Signed): Candidates {
  const found: Record<RuleType, string> = {
    CDHASH: signed.cdhash,
    BINARY: sha256,
    SIGNINGID: signed.signing_id,
    CERTIFICATE: signed.certificate_sha256,
    TEAMID: signed.team_id,
  };
  const offered: Candidates = {};
  for (const type of RULE_TYPES) {
    const identifier = found[type];
    if (identifier && IDENTIFIER_KINDS[type].pattern.test(identifier)) {
      offered[type] = normalizeIdentifier(type, identifier);
    }
  }
  return offered;
}

/**
 * The draft for an event: the opposite of what happened (a blocked program is usually to be allowed),
 * for all versions of the program when it is signed, else for the file.
 */
export function draftFromEvent(event: ExecEvent): RuleDraft {
  const offered = candidatesOf(event);
  const type = offered.SIGNINGID ? 'SIGNINGID' : 'BINARY';
  return {
    type,
    policy: event.blocked ? 'ALLOWLIST' : 'BLOCKLIST',
    candidates: offered,
    subject: reported(event.file_name || event.file_path) || 'this program',
  };
}

/** The draft for a program: the opposite of what mostly happened to it. */
export function draftFromProgram(program: Program): RuleDraft {
  const offered = candidatesOfProgram(program);
  return {
    type: offered.SIGNINGID ? 'SIGNINGID' : 'BINARY',
    policy: program.blocked > program.allowed ? 'ALLOWLIST' : 'BLOCKLIST',
    candidates: offered,
    subject: reported(program.file_name) || 'this program',
  };
}
