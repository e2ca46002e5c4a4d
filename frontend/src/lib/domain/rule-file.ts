// Files of rules: which kind one is, and a plan in words. Pure.
import type { ImportPlan, RuleFileFormat } from '../api/types.ts';
import type { Tone } from '../ui/tone.ts';
import { plural } from './format.ts';

/** The server's limit, in bytes. */
export const LARGEST_FILE = 16 * 1024 * 1024;

type PlannedAction = ImportPlan['changes'][number]['action'];

export const ACTIONS: Readonly<Record<PlannedAction, { label: string; tone: Tone }>> = {
  add: { label: 'Add', tone: 'ok' },
  change: { label: 'Change', tone: 'info' },
  remove: { label: 'Remove', tone: 'danger' },
};

/** A file's format by its name, else by its first character. */
export function formatOf(name: string, content: string): RuleFileFormat {
  if (/\.json$/i.test(name)) return 'json';
  if (/\.csv$/i.test(name)) return 'csv';
  return /^\s*[[{]/.test(content) ? 'json' : 'csv';
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
