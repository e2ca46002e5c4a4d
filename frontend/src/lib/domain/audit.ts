// What entries of the audit log say, in words. Pure.
import type { AuditedAct } from '../api/types.ts';

export const ACTOR_KINDS = [
  { value: 'user', label: 'Users' },
  { value: 'provider', label: 'Identity provider' },
  { value: 'scim', label: 'Provisioning (SCIM)' },
  { value: 'anonymous', label: 'Not logged in' },
  { value: 'command_line', label: 'Command line' },
  { value: 'schedule', label: 'Schedule' },
  { value: 'token', label: 'API tokens' },
  { value: 'enrollment', label: 'Enrollments' },
] as const satisfies readonly { value: AuditedAct['actor_kind']; label: string }[];

/** Each type that the log can have, so that none is missing from the filter. */
const OBJECTS: Record<AuditedAct['object_type'], string> = {
  rule: 'Rules',
  layer: 'Settings and exports',
  policy: 'Overridden guard',
  tag: 'Tags',
  machine: 'Machines',
  enrollment: 'Enrollments',
  essential: 'Essentials',
  user: 'Users and sessions',
  token: 'API tokens',
  scim_token: 'SCIM tokens',
  group: 'Groups',
  role: 'Roles',
  blocked_contact: 'Contact',
  audit: 'Audit log',
  schema: 'Schema',
};

export const OBJECT_TYPES = (Object.entries(OBJECTS) as [AuditedAct['object_type'], string][]).map(
  ([value, label]) => ({ value, label }),
);

/** `rule_created` as "Rule created". */
export function actionLabel(action: string): string {
  const words = action.replaceAll('_', ' ');
  return words.charAt(0).toUpperCase() + words.slice(1);
}

export function actorLabel(
  act: Pick<AuditedAct, 'actor_kind' | 'actor_name' | 'actor_id'>,
): string {
  if (act.actor_name) return act.actor_name;
  if (act.actor_kind === 'anonymous') return 'Not logged in';
  return act.actor_id === null ? 'Unknown' : `User ${act.actor_id}`;
}

/** The object as it is named in the log; `*` stands for all of a type. */
export function objectLabel(act: Pick<AuditedAct, 'object_type' | 'object_id'>): string {
  const type = act.object_type.replaceAll('_', ' ');
  return act.object_id === '*' ? type : `${type} ${act.object_id}`;
}

interface Difference {
  field: string;
  before: string;
  after: string;
}

/** The fields that differ between an object before and after. */
export function differences(act: Pick<AuditedAct, 'before' | 'after'>): Difference[] {
  const before = act.before ?? {};
  const after = act.after ?? {};
  return [...new Set([...Object.keys(before), ...Object.keys(after)])]
    .sort()
    .map((field) => ({ field, before: shown(before[field]), after: shown(after[field]) }))
    .filter(({ before: old, after: now }) => old !== now);
}

function shown(value: unknown): string {
  if (value === undefined || value === null || value === '') return '';
  return typeof value === 'string' ? value : JSON.stringify(value);
}

/** The start of a day in the browser's time zone, `days` after it, as the server takes it; undefined for no date. */
export function dayStart(date: string | undefined, days = 0): string | undefined {
  const parts = /^(\d{4})-(\d\d)-(\d\d)$/.exec(date ?? '');
  if (!parts) return undefined;
  const [year, month, day] = parts.slice(1).map(Number) as [number, number, number];
  const moment = new Date(year, month - 1, day + days);
  return Number.isNaN(moment.getTime()) ? undefined : moment.toISOString();
}
