// The tag form without its components: initial values, validation, and the request. Pure.
import type { MemberSource, PredicateResult, Tag, TagContent } from '../api/types.ts';
import { plural } from './format.ts';

/** Field names are those of the API, so that errors of the server are matched by name. */
export interface TagForm {
  name: string;
  description: string;
  predicate: string;
  /** One to a line: names of directory groups may contain commas. */
  groups: string;
  enrollments: number[];
  /** Why it is changed; not part of the tag. */
  reason: string;
}

type TagErrors = Partial<Record<keyof TagForm, string>>;

export const MEMBER_SOURCES: Readonly<Record<MemberSource, { label: string; help: string }>> = {
  manual: { label: 'manual', help: 'Added by an administrator.' },
  enrollment: { label: 'enrollment', help: 'Its enrollment has this tag.' },
  group: { label: 'group', help: 'Its user is in one of the tag’s directory groups.' },
  predicate: { label: 'expression', help: 'The tag’s expression matches it.' },
};

/** The variables of predicates, for help texts. */
export const PREDICATE_NAMES: readonly string[] = [
  'machine_id',
  'serial',
  'hostname',
  'model',
  'os_version',
  'os_build',
  'santa_version',
  'primary_user',
  'groups',
  'client_mode',
  'sip_enabled',
];

export function emptyTagForm(): TagForm {
  return { name: '', description: '', predicate: '', groups: '', enrollments: [], reason: '' };
}

export function formFromTag(tag: Tag): TagForm {
  return {
    name: tag.name,
    description: tag.description,
    predicate: tag.predicate ?? '',
    groups: tag.groups.join('\n'),
    enrollments: [...tag.enrollments],
    reason: '',
  };
}

export function groupsIn(text: string): string[] {
  const names = text.split('\n').map((name) => name.trim());
  return [...new Set(names.filter((name) => name !== ''))];
}

/** Errors by field. */
export function tagErrors(form: TagForm): TagErrors {
  const errors: TagErrors = {};
  const name = form.name.trim();
  if (name === '') errors.name = 'Enter a name.';
  else if (!/^[A-Za-z0-9][A-Za-z0-9 ._-]{0,99}$/.test(name)) {
    errors.name =
      'Use letters, digits, spaces, dots, dashes and underscores. Start with a letter or digit.';
  }
  return errors;
}

const FIELD_LABELS: Readonly<Record<keyof Omit<TagForm, 'reason'>, string>> = {
  name: 'Name',
  description: 'Description',
  predicate: 'Expression',
  groups: 'Directory groups',
  enrollments: 'Enrollments',
};

export function tagFieldLabel(field: string): string {
  return FIELD_LABELS[field as keyof typeof FIELD_LABELS] ?? field;
}

/** A field's value in words; `names` are those of the enrollments. */
export function tagFieldWords(value: unknown, names: ReadonlyMap<number, string>): string {
  if (!Array.isArray(value)) return String(value ?? '').replaceAll('\n', ', ') || '–';
  return value.map((id: number) => names.get(id) ?? `#${id}`).join(', ') || '–';
}

export function toTagContent(form: TagForm): TagContent {
  const predicate = form.predicate.trim();
  return {
    name: form.name.trim(),
    description: form.description.trim(),
    predicate: predicate === '' ? null : predicate,
    groups: groupsIn(form.groups),
    enrollments: form.enrollments,
  };
}

/** The result of trying a predicate, as a sentence; its error is shown at the field instead. */
export function describeTrial(result: PredicateResult): string {
  if (result.tried === 0) return 'The expression is valid. There are no Macs yet to test it on.';
  const share = `Matches ${result.matching} of ${plural(result.tried, 'Mac')}`;
  if (result.examples.length === 0) return `${share}.`;
  const more = result.matching > result.examples.length ? ' and others' : '';
  return `${share}: ${result.examples.join(', ')}${more}.`;
}

/** How Macs become members, in a few words. */
export function describeSources(tag: Pick<Tag, 'predicate' | 'groups' | 'enrollments'>): string {
  const ways = ['manual'];
  if (tag.enrollments.length > 0) ways.push(plural(tag.enrollments.length, 'enrollment'));
  if (tag.groups.length > 0) ways.push(plural(tag.groups.length, 'directory group'));
  if (tag.predicate) ways.push('expression');
  return ways.join(', ');
}
