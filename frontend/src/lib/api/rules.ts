// Execution rules of all layers.
import { api, ifMatch, unwrap, type CallOptions } from './client.ts';
import type {
  Page,
  Position,
  RemovedRule,
  Rule,
  RuleCreate,
  RuleFilters,
  RuleUpdate,
} from './types.ts';

export function listRules(
  filters: RuleFilters,
  position: Position,
  options: CallOptions = {},
): Promise<Page<Rule>> {
  const params = { query: { ...filters, ...position } };
  return unwrap(api.GET('/api/v1/rules', { params, ...options }));
}

export function createRule(rule: RuleCreate): Promise<Rule> {
  return unwrap(api.POST('/api/v1/rules', { body: rule }));
}

type RuleVersion = Pick<Rule, 'id' | 'etag'>;

export function changeRule(rule: RuleVersion, change: RuleUpdate): Promise<Rule> {
  const params = { path: { rule_id: rule.id }, header: ifMatch(rule) };
  return unwrap(api.PUT('/api/v1/rules/{rule_id}', { params, body: change }));
}

export async function removeRule(rule: RuleVersion, reason: string): Promise<void> {
  const params = { path: { rule_id: rule.id }, query: { reason }, header: ifMatch(rule) };
  await unwrap(api.DELETE('/api/v1/rules/{rule_id}', { params }));
}

/** Removed rules, the one removed last first, each with the delivery of its removal. */
export function listRemovedRules(
  position: Position,
  options: CallOptions = {},
): Promise<Page<RemovedRule>> {
  return unwrap(api.GET('/api/v1/rules/removed', { params: { query: position }, ...options }));
}
