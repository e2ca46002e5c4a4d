// The rule form without its components: initial values, validation, and the request. Pure.
import type { Policy, Rule, RuleCreate, RuleType, RuleUpdate } from '../api/types.ts';
import type { Fields } from './edit-merge.ts';
import { exactTime } from './format.ts';
import { identifierError, normalizeIdentifier } from './identifiers.ts';
import { layerError } from './layers.ts';
import { GLOBAL_LAYER, POLICY_KINDS, policiesFor, showsMessage } from './policies.ts';
import type { RuleDraft } from './rule-candidates.ts';

/** Field names are those of the API, so that errors of the server are matched by name. */
export interface RuleForm {
  layer: string;
  rule_type: RuleType;
  identifier: string;
  policy: Policy;
  cel_expr: string;
  custom_msg: string;
  custom_url: string;
  comment: string;
  reason: string;
  locked: boolean;
  /** Moments in UTC, as they are sent. */
  starts_at: string | null;
  expires_at: string | null;
  /** Save it although it blocks what Macs need to stay manageable. */
  override_guard: boolean;
}

export type RuleErrors = Partial<Record<keyof RuleForm, string>>;

export function emptyRuleForm(): RuleForm {
  return {
    layer: GLOBAL_LAYER,
    rule_type: 'BINARY',
    identifier: '',
    policy: 'BLOCKLIST',
    cel_expr: '',
    custom_msg: '',
    custom_url: '',
    comment: '',
    reason: '',
    locked: false,
    starts_at: null,
    expires_at: null,
    override_guard: false,
  };
}

export function formFromDraft(draft: RuleDraft): RuleForm {
  const { type, policy, candidates } = draft;
  return { ...emptyRuleForm(), rule_type: type, policy, identifier: candidates[type] ?? '' };
}

export function formFromRule(rule: Rule): RuleForm {
  return {
    layer: rule.layer,
    rule_type: rule.rule_type,
    identifier: rule.identifier,
    policy: rule.policy,
    cel_expr: rule.cel_expr ?? '',
    custom_msg: rule.custom_msg,
    custom_url: rule.custom_url,
    comment: rule.comment,
    reason: '',
    locked: rule.locked,
    starts_at: rule.state === 'waiting' ? rule.starts_at : null,
    expires_at: rule.expires_at,
    override_guard: false,
  };
}

/** The form after another type was chosen: a policy the type does not have becomes plain Allow. */
export function withType(form: RuleForm, type: RuleType, draft?: RuleDraft): RuleForm {
  const policy = policiesFor(type, form.layer).includes(form.policy) ? form.policy : 'ALLOWLIST';
  const offered = draft?.candidates[type];
  const wasOffered = form.identifier === (draft?.candidates[form.rule_type] ?? '');
  const identifier = offered !== undefined && wasOffered ? offered : form.identifier;
  return { ...form, rule_type: type, policy, identifier };
}

/** The form after another layer was chosen: a policy that does not apply there becomes plain Block. */
export function withLayer(form: RuleForm, layer: string): RuleForm {
  const policy = policiesFor(form.rule_type, layer).includes(form.policy)
    ? form.policy
    : 'BLOCKLIST';
  return { ...form, layer, policy };
}

/** Errors by field; an empty object when the form can be sent. `now` in milliseconds. */
export function ruleErrors(form: RuleForm, now: number): RuleErrors {
  const errors: RuleErrors = {};
  const identifier = identifierError(form.rule_type, form.identifier);
  if (identifier) errors.identifier = identifier;
  const layer = layerError(form.layer);
  if (layer) errors.layer = layer;
  if (form.policy === 'CEL' && form.cel_expr.trim() === '') {
    errors.cel_expr = 'Enter an expression, or choose another policy.';
  }
  const address = addressError(form.custom_url.trim());
  if (address && showsMessage(form.policy)) errors.custom_url = address;
  const from = Math.max(now, form.starts_at ? Date.parse(form.starts_at) : 0);
  if (form.expires_at && Date.parse(form.expires_at) <= from) {
    errors.expires_at = 'Choose a time in the future, after the start, or leave it empty.';
  }
  return errors;
}

function addressError(address: string): string | null {
  if (address === '' || address === 'null') return null;
  return /^https:\/\/\S+$/i.test(address) ? null : 'Enter an address that starts with https://';
}

export function toRuleUpdate(form: RuleForm): RuleUpdate {
  const message = showsMessage(form.policy);
  return {
    policy: form.policy,
    cel_expr: form.policy === 'CEL' ? form.cel_expr.trim() : null,
    custom_msg: message ? form.custom_msg.trim() : '',
    custom_url: message ? form.custom_url.trim() : '',
    comment: form.comment.trim(),
    reason: form.reason.trim(),
    locked: form.locked,
    starts_at: form.starts_at,
    expires_at: form.expires_at,
    override_guard: form.override_guard,
  };
}

type RuleField = Exclude<
  keyof RuleForm,
  'layer' | 'rule_type' | 'identifier' | 'override_guard' | 'reason'
>;

const FIELD_LABELS: Readonly<Record<RuleField, string>> = {
  policy: 'Policy',
  cel_expr: 'Expression',
  custom_msg: 'Message',
  custom_url: 'Button address',
  comment: 'Comment',
  locked: 'Locked',
  starts_at: 'Starts',
  expires_at: 'Expires',
};
const FIELDS = Object.keys(FIELD_LABELS) as RuleField[];

/** What can be changed of a rule, by field. */
export function ruleFields(form: RuleForm): Fields {
  return Object.fromEntries(FIELDS.map((field) => [field, form[field]]));
}

export function ruleFieldLabel(field: string): string {
  return FIELD_LABELS[field as RuleField] ?? field;
}

export function ruleFieldWords(field: string, value: unknown): string {
  if (field === 'policy') return POLICY_KINDS[value as Policy].label;
  if (typeof value === 'boolean') return value ? 'Yes' : 'No';
  if (field === 'starts_at') return value ? exactTime(String(value)) : 'Now';
  if (field === 'expires_at') return value ? exactTime(String(value)) : 'Never';
  return String(value ?? '') || '–';
}

export function toRuleCreate(form: RuleForm): RuleCreate {
  const identifier = normalizeIdentifier(form.rule_type, form.identifier);
  return { layer: form.layer.trim(), rule_type: form.rule_type, identifier, ...toRuleUpdate(form) };
}
