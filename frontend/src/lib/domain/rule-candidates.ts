// Which rules could be made from an execution that was seen, from the narrowest to the widest.
import type { ExecEvent, Policy, RuleType } from '../api/types.ts';
import { IDENTIFIER_KINDS, RULE_TYPES, normalizeIdentifier } from './identifiers.ts';

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
  const found: Record<RuleType, string | null | undefined> = {
    CDHASH: event.cdhash,
    BINARY: event.file_sha256,
    SIGNINGID: event.signing_id,
    CERTIFICATE: event.certificate_sha256,
    TEAMID: event.team_id,
  };
  const candidates: Candidates = {};
  for (const type of RULE_TYPES) {
    const identifier = found[type];
    if (identifier && IDENTIFIER_KINDS[type].pattern.test(identifier)) {
      candidates[type] = normalizeIdentifier(type, identifier);
    }
  }
  return candidates;
}

/**
 * The draft for an event: the opposite of what happened (a blocked program is usually to be allowed),
 * for all versions of the program when it is signed, else for the file.
 */
export function draftFromEvent(event: ExecEvent): RuleDraft {
  const candidates = candidatesOf(event);
  const type = candidates.SIGNINGID ? 'SIGNINGID' : 'BINARY';
  return {
    type,
    policy: event.blocked ? 'ALLOWLIST' : 'BLOCKLIST',
    candidates,
    subject: event.file_name || event.file_path || 'this program',
  };
}
