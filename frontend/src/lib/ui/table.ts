// The types of tables; the component is Table.svelte.
import type { Snippet } from 'svelte';
import type { IconName } from './icons.ts';

export interface Column<T> {
  label: string;
  cell: Snippet<[row: T, index: number]>;
  /** `lead` names the row, `number` is aligned right, `line` is never broken, `words` is free text. */
  kind?: 'lead' | 'number' | 'line' | 'words';
}

/** The text in place of rows. */
export interface Empty {
  title: string;
  icon: IconName;
  text: string;
}

/** For filters without a match. */
export function noMatch(title: string): Empty {
  return { title, icon: 'search', text: 'Change or remove a filter to see more.' };
}
