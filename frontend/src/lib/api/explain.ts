// Explanations of a Mac's rules.
import { api, unwrap, type CallOptions } from './client.ts';
import type { EffectiveRule, Explanation, Page, Position, RuleType } from './types.ts';

/** The rules a machine should have, by type and identifier. */
export function listEffectiveRules(
  machineId: string,
  q: string | undefined,
  position: Position,
  options: CallOptions = {},
): Promise<Page<EffectiveRule>> {
  const params = { query: { machine_id: machineId, q, ...position } };
  return unwrap(api.GET('/api/v1/explain/rules', { params, ...options }));
}

/** Which rule decides about a program with these identifiers on a machine, and which are overridden. */
export function explainProgram(
  machineId: string,
  identifiers: Partial<Record<RuleType, string>>,
): Promise<Explanation> {
  const query = {
    machine_id: machineId,
    cdhash: identifiers.CDHASH,
    sha256: identifiers.BINARY,
    signing_id: identifiers.SIGNINGID,
    certificate: identifiers.CERTIFICATE,
    team_id: identifiers.TEAMID,
  };
  return unwrap(api.GET('/api/v1/explain/program', { params: { query } }));
}
