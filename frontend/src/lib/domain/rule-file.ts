// Files of rules: which kind one is, and a plan in words. Pure.
import type { ImportPlan, RuleImport } from '../api/types.ts';
import type { Tone } from '../ui/tone.ts';
import { plural } from './format.ts';

/** Bytes that become characters at a time: as many arguments as a call may have. */
const PART = 8 * 1024;

/** The server's limit, in bytes. */
export const LARGEST_FILE = 16 * 1024 * 1024;

type PlannedAction = ImportPlan['changes'][number]['action'];

export const ACTIONS: Readonly<Record<PlannedAction, { label: string; tone: Tone }>> = {
  add: { label: 'Add', tone: 'ok' },
  change: { label: 'Change', tone: 'info' },
  remove: { label: 'Remove', tone: 'danger' },
};

type Content = Pick<RuleImport, 'content' | 'encoding'>;

/** A file's bytes as they can be sent: its text if it is UTF-8, else Base64. */
export function contentOf(bytes: Uint8Array): Content {
  try {
    const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
    return { content: decoder.decode(bytes), encoding: 'text' };
  } catch {
    return { content: base64(bytes), encoding: 'base64' };
  }
}

function base64(bytes: Uint8Array): string {
  const parts: string[] = [];
  for (let at = 0; at < bytes.length; at += PART) {
    parts.push(String.fromCharCode(...bytes.subarray(at, at + PART)));
  }
  return btoa(parts.join(''));
}

/** What a person decides about a file of another tool. */
export interface FileChoices {
  layer: string;
  configuration: string;
  lastWins: boolean;
  messageToComment: boolean;
  /** Lines of `number=name`. */
  tagNames: string;
}

export const NO_CHOICES: FileChoices = {
  layer: 'global',
  configuration: '',
  lastWins: false,
  messageToComment: false,
  tagNames: '',
};

type RequestedChoices = Pick<
  RuleImport,
  'layer' | 'configuration' | 'last_wins' | 'message_to_comment' | 'tag_names'
>;

export function requested(choices: FileChoices): RequestedChoices {
  return {
    layer: choices.layer,
    configuration: choices.configuration.trim(),
    last_wins: choices.lastWins,
    message_to_comment: choices.messageToComment,
    tag_names: tagNames(choices.tagNames),
  };
}

function tagNames(text: string): Record<string, string> {
  const pairs = text
    .split('\n')
    .map((line) => line.split('='))
    .map(([number = '', ...name]) => [number.trim(), name.join('=').trim()] as const)
    .filter(([number, name]) => number && name);
  return Object.fromEntries(pairs);
}

/** Where in a file something is: "line 3", "line 1, column 90", "rule 4" where there are no lines. */
export function whereInFile(
  at: Pick<ImportPlan['mistakes'][number], 'line' | 'column' | 'entry' | 'file'>,
): string {
  const file = at.file ? `${at.file}: ` : '';
  if (at.line === 0) return file + (at.entry ? `rule ${at.entry}` : 'file');
  const column = at.column && at.column > 1 ? `, column ${at.column}` : '';
  return `${file}line ${at.line}${column}`;
}

/** The kinds of notes about a file, in words. */
const NOTE_KINDS: Readonly<Record<string, string>> = {
  transitive: 'Made by a Mac for itself',
  local_approval: 'Approved on one Mac',
  disabled: 'Switched off in the file',
  comment_entry: 'Notes without a rule',
  bundle_rule: 'Bundles of programs',
  needs_v2: 'Sandbox rules',
  package_rule: 'Rules of packages',
  pack_subscription: 'Subscribed packs',
  file_access: 'File access rules',
  other_configuration: 'Of another configuration',
  superseded: 'Replaced later in the file',
  other_agent: 'For another agent',
  legacy_word: 'Earlier words',
  legacy_key: 'Earlier names of fields',
  case: 'Upper and lower case',
  identifier_form: 'Identifiers in another form',
  type_inferred: 'Types read from identifiers',
  duplicate: 'The same rule twice',
  unknown_key: 'Unknown fields',
  dropped_field: 'Fields without a counterpart',
  settings_ignored: 'Settings',
  placeholder: 'Placeholders',
  mask_order: 'Order of layers',
  signature_not_checked: 'Signature not checked',
  lossy_source: 'Incomplete source',
  replaces_global: 'File of one Mac',
  file_name: 'Name of the file',
  no_rules: 'No rules',
};

export function noteKind(code: string): string {
  return NOTE_KINDS[code] ?? code.replaceAll('_', ' ');
}

/** The error of a file before it is read, or nothing. */
export function fileError(file: Pick<File, 'size'> | undefined): string | null {
  if (!file) return 'Choose a file.';
  if (file.size === 0) return 'The file is empty.';
  if (file.size > LARGEST_FILE) return 'The file is larger than 16 MB. Import it in parts.';
  return null;
}

export function describePlan(plan: ImportPlan): string {
  const { added, changed, removed, unchanged } = plan;
  const nothing = added + changed + removed === 0;
  if (nothing) return `No changes: ${plural(unchanged, 'rule exists', 'rules exist')} already.`;
  const parts = [
    added > 0 && plural(added, 'rule is added', 'rules are added'),
    changed > 0 && plural(changed, 'is changed', 'are changed'),
    removed > 0 && plural(removed, 'is removed', 'are removed'),
    unchanged > 0 && plural(unchanged, 'stays unchanged', 'stay unchanged'),
  ].filter((part) => part !== false);
  return `${parts.join(', ')}.`;
}

/** Whether there is something to apply. */
export function canApply(plan: ImportPlan): boolean {
  const changes = plan.added + plan.changed + plan.removed;
  return !plan.applied && plan.mistakes_total === 0 && changes > 0;
}
