// How live messages change a list. Pure: lists in, lists out; the same list when nothing changed.
import type { EventFilters, ExecEvent, Page, Rule, RuleFilters } from '../api/types.ts';
import type { LiveMessage } from './messages.ts';

/** Puts a new row on top, or replaces the one with the same key where it stands. */
export function upsert<T>(items: readonly T[], item: T, key: (item: T) => unknown): T[] {
  const index = items.findIndex((other) => key(other) === key(item));
  return index < 0 ? [item, ...items] : items.with(index, item);
}

/**
 * Puts an event where it belongs in a list that goes from the newest down, or replaces it. One that is older than all
 * rows shown belongs to the rows not yet loaded, when there are `more`.
 */
export function withEvent(
  items: readonly ExecEvent[],
  event: ExecEvent,
  more: boolean,
): readonly ExecEvent[] {
  const known = items.findIndex((other) => other.id === event.id);
  if (known >= 0) return items.with(known, event);
  const place = items.findIndex((other) => isNewer(event, other));
  if (place >= 0) return items.toSpliced(place, 0, event);
  return more ? items : [...items, event];
}

function isNewer(one: ExecEvent, other: ExecEvent): boolean {
  const difference = Date.parse(one.occurred_at) - Date.parse(other.occurred_at);
  return difference === 0 ? one.id > other.id : difference > 0;
}

/** Replaces the row with the same key; the same list when it is not there. */
export function replace<T>(items: T[], item: T, key: (item: T) => unknown): T[] {
  const index = items.findIndex((other) => key(other) === key(item));
  return index < 0 ? items : items.with(index, item);
}

/** The next page's rows below the others; rows that moved down meanwhile are not shown twice. */
export function appended<T>(old: readonly T[], next: readonly T[], key: (item: T) => unknown): T[] {
  const known = new Set(old.map(key));
  return [...old, ...next.filter((item) => !known.has(key(item)))];
}

/**
 * Rows read again from the start, under which older rows that the new page does not reach stay.
 * `more` is the cursor that was valid for the old rows; the page's own is right when nothing stays.
 */
export function refreshed<T>(
  old: readonly T[],
  page: Page<T>,
  more: string | null,
  key: (item: T) => unknown,
): Page<T> {
  const last = page.items.at(-1);
  const reach = last === undefined ? -1 : old.findIndex((item) => key(item) === key(last));
  const fresh = new Set(page.items.map(key));
  const tail = reach < 0 ? [] : old.slice(reach + 1).filter((item) => !fresh.has(key(item)));
  if (page.next_cursor === null || tail.length === 0) return page;
  return { items: [...page.items, ...tail], next_cursor: more };
}

/** Whether an event belongs to a list with these filters. Free text is matched against the searchable fields. */
export function eventFits(event: ExecEvent, filters: EventFilters): boolean {
  const { decision, machine_id, q } = filters;
  if (machine_id && event.machine_id !== machine_id) return false;
  if (decision && !decisionFits(event, decision)) return false;
  if (!q) return true;
  const fields = [event.file_name, event.file_path, event.file_sha256, event.executing_user];
  const more = [
    event.hostname,
    event.signing_id,
    event.team_id,
    event.publisher,
    event.bundle_name,
  ];
  return contains([...fields, ...more], q);
}

/**
 * How many of the events that a message only counts belong to a list with these filters; which of them a free text
 * finds nobody knows. Numbers of all machines together have no machine.
 */
export function countFitting(
  message: Extract<LiveMessage, { type: 'event' }>,
  { decision, machine_id }: EventFilters,
): number {
  if (message.machine_id !== (machine_id ?? '')) return 0;
  return Object.entries(message.decisions ?? {})
    .filter(([word]) => !decision || wordFits(word, word.startsWith('BLOCK_'), decision))
    .reduce((sum, [, events]) => sum + events, 0);
}

function decisionFits(event: ExecEvent, wanted: string): boolean {
  return wordFits(event.decision, event.blocked, wanted);
}

function wordFits(decision: string, blocked: boolean, wanted: string): boolean {
  if (wanted === 'blocked') return blocked;
  if (wanted === 'unknown') return decision.endsWith('_UNKNOWN');
  if (wanted === 'allowed') return !blocked;
  return decision === wanted;
}

/** Whether the policy may have changed. */
export function tellsOfChange({ type }: LiveMessage): boolean {
  return type === 'rule' || type === 'lagged';
}

/** The rules a list shows after a change to one of them. */
export function withRuleChange(
  rules: Rule[],
  message: Extract<LiveMessage, { type: 'rule' }>,
  filters: RuleFilters,
): Rule[] {
  const { action, rule } = message;
  const known = rules.some((other) => other.id === rule.id);
  const fits = action !== 'removed' && ruleFits(rule, filters);
  if (!fits) return known ? rules.filter((other) => other.id !== rule.id) : rules;
  if (!known && action === 'changed') return rules; // further down than what is loaded
  return upsert(rules, rule, (other) => other.id);
}

function ruleFits(rule: Rule, filters: RuleFilters): boolean {
  const { rule_type, policy, layer, q } = filters;
  if (layer && rule.layer.toLowerCase() !== layer.toLowerCase()) return false;
  if (rule_type && rule.rule_type !== rule_type) return false;
  if (policy && rule.policy !== policy) return false;
  return !q || contains([rule.identifier, rule.comment, rule.custom_msg], q);
}

function contains(fields: readonly (string | null | undefined)[], wanted: string): boolean {
  const needle = wanted.toLowerCase();
  return fields.some((field) => field?.toLowerCase().includes(needle));
}
