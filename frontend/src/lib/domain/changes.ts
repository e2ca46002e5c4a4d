// Changes of the policy in words. Pure.
import type {
  ChangeFilters,
  LoggedChange,
  RevertConflict,
  RevertPlan,
  RuleDifference,
} from '../api/types.ts';
import { plural } from './format.ts';
import { IDENTIFIER_KINDS } from './identifiers.ts';
import { settingFieldLabel, settingFieldWords } from './layer-settings.ts';
import { describeLayer } from './layers.ts';

type Kind = NonNullable<ChangeFilters['kind']>;
type ActorKind = NonNullable<ChangeFilters['actor_kind']>;

/** Each kind that the log can have, so that none is missing from the filter. */
const KINDS: Record<Kind, string> = {
  rule: 'Single rules',
  import: 'Imports',
  settings: 'Settings',
  revert: 'Reverts',
  schedule: 'Start and expiry',
  tag: 'Tags',
  tag_order: 'Order of tags',
  membership: 'Memberships',
  enrollment: 'Enrollments',
  restore: 'Restored backups',
};

export const CHANGE_KINDS = (Object.entries(KINDS) as [Kind, string][]).map(([value, label]) => ({
  value,
  label,
}));

export const CHANGE_ACTORS = [
  { value: 'user', label: 'Users' },
  { value: 'token', label: 'API tokens' },
  { value: 'schedule', label: 'Schedule' },
  { value: 'command_line', label: 'Command line' },
  { value: 'enrollment', label: 'Enrollments' },
] as const satisfies readonly { value: ActorKind; label: string }[];

/** Kinds of actors that are not people with a name of their own. */
const ACTOR_WORDS: Readonly<Record<string, string>> = {
  token: 'API token',
  schedule: 'Schedule',
  command_line: 'Command line',
  enrollment: 'Enrollment',
  scim: 'Provisioning (SCIM)',
  provider: 'Identity provider',
};

/** What made a change, where its name alone does not say it; empty for a user. */
export function actorKind({ actor_kind }: Pick<LoggedChange, 'actor_kind'>): string {
  return actor_kind === 'user' ? '' : (ACTOR_WORDS[actor_kind] ?? actor_kind);
}

const SENTENCES: Readonly<Record<string, string>> = {
  import: 'Rules imported',
  schedule: 'Rules started or expired',
  tag: 'Tag created, changed or removed',
  tag_order: 'Order of tags changed',
  membership: 'Memberships of tags changed',
  enrollment: 'Tags of an enrollment changed',
  restore: 'Database restored from a backup',
};

/** What a change did, in a few words: "Rule added: Every machine". */
export function describeChange(change: LoggedChange): string {
  const where = change.layer ? describeLayer(change.layer) : '';
  if (change.kind === 'rule') return `Rule ${ruleVerb(change)}${where && `: ${where}`}`;
  if (change.kind === 'settings') return `Settings changed${where && `: ${where}`}`;
  if (change.reverts) return `Change ${change.reverts} reverted`;
  return SENTENCES[change.kind] ?? change.kind.replaceAll('_', ' ');
}

function ruleVerb({ added, removed }: LoggedChange): string {
  if (added) return 'added';
  return removed ? 'removed' : 'changed';
}

/** "3 rules added, 1 removed, 2 settings"; empty when the log does not say. */
export function countsOf(change: LoggedChange): string {
  const { added, changed, removed, settings } = change;
  const rules = [
    [added, 'added'],
    [changed, 'changed'],
    [removed, 'removed'],
  ] as const;
  const parts = rules
    .filter(([number]) => number)
    .map(([number, verb], index) =>
      index === 0 ? `${plural(number ?? 0, 'rule')} ${verb}` : `${number} ${verb}`,
    );
  if (settings) parts.push(plural(settings, 'setting'));
  return parts.join(', ');
}

/** What happened to a rule: its action, as plans of imports name it. */
export function actionOf({ before, after }: RuleDifference): 'add' | 'change' | 'remove' {
  if (!before) return 'add';
  return after ? 'change' : 'remove';
}

const CONTENT_LABELS: Readonly<Record<string, string>> = {
  cel_expr: 'Expression',
  custom_msg: 'Message',
  custom_url: 'Address',
  comment: 'Comment',
  locked: 'Locked',
  starts_at: 'Starts',
  expires_at: 'Expires',
};

interface Difference {
  label: string;
  before: string;
  after: string;
}

/** What else than the policy differs between a rule's content before and after. */
export function contentDifferences({ before, after }: RuleDifference): Difference[] {
  return Object.entries(CONTENT_LABELS)
    .map(([field, label]) => ({
      label,
      before: contentWords(before?.[field as keyof typeof before]),
      after: contentWords(after?.[field as keyof typeof after]),
    }))
    .filter((one) => one.before !== one.after);
}

function contentWords(value: unknown): string {
  if (value === undefined || value === null || value === false) return '';
  return value === true ? 'yes' : String(value);
}

interface Owned {
  value: unknown;
  locked: boolean;
}

/** A setting of a layer in words; the server may know settings that this console does not. */
export function settingWords(key: string, owned: Owned | null): string {
  if (!owned) return 'Not set here';
  const words = settingFieldWords(key, owned.value);
  return owned.locked ? `${words} (locked)` : words;
}

/** What a plan to take a change back does. */
export function describeRevert(plan: RevertPlan): string {
  const { added, changed, removed, settings, unchanged } = plan;
  const parts = [
    added > 0 && plural(added, 'rule comes back', 'rules come back'),
    changed > 0 &&
      plural(changed, 'rule gets its earlier content', 'rules get their earlier content'),
    removed > 0 && plural(removed, 'rule is removed', 'rules are removed'),
    settings > 0 &&
      plural(settings, 'setting gets its earlier value', 'settings get their earlier values'),
    unchanged > 0 &&
      plural(unchanged, 'is as it was before already', 'are as they were before already'),
  ].filter((part) => part !== false);
  return parts.length > 0 ? `${parts.join(', ')}.` : 'Nothing is left to revert.';
}

/** What is said after a change was taken back. */
export function revertedText({ applied, reverts }: RevertPlan): string {
  return applied
    ? `Change ${reverts} reverted. Machines get this at their next sync.`
    : 'Nothing was left to revert.';
}

/** How many rules and settings a plan changes. */
export function stepsOf({ added, changed, removed, settings }: RevertPlan): number {
  return added + changed + removed + settings;
}

/** What a conflict is about: "Binary 0123… in Every machine". */
export function conflictSubject({ rule_type, identifier, layer }: RevertConflict): string {
  const what = rule_type
    ? `${IDENTIFIER_KINDS[rule_type].label} ${identifier}`
    : settingFieldLabel(identifier);
  return `${what}, ${describeLayer(layer)}`;
}
