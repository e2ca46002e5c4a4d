import { render, screen } from '@testing-library/svelte';
import { expect, it, vi } from 'vitest';
import type { Rule } from '../../api/types.ts';
import { PagedList } from '../../state/paged-list.svelte.ts';
import { someRule } from '../../testing/samples.ts';
import RuleTable from './RuleTable.svelte';

const rules = [
  { ...someRule(), id: 1, layer: 'global' },
  { ...someRule(), id: 2, layer: 'tag:lab' },
];

async function open(mayEdit: ((rule: Rule) => boolean) | undefined) {
  const list = new PagedList({
    read: () => Promise.resolve({ items: rules, next_cursor: null }),
    key: (rule: Rule) => rule.id,
  });
  await list.first;
  const onedit = vi.fn();
  render(RuleTable, { list, filtered: false, mayEdit, onedit, onremove: vi.fn() });
  return onedit;
}

it('offers changes only of rules that may be changed', async () => {
  const onedit = await open((rule) => rule.layer === 'tag:lab');
  expect(screen.getAllByRole('button', { name: 'Remove' })).toHaveLength(1);
  screen.getByRole('button', { name: 'Edit' }).click();
  expect(onedit).toHaveBeenCalledWith(rules[1]);
});

it('has no actions for those who may only read', async () => {
  await open(undefined);
  expect(screen.queryByRole('button', { name: /Edit|Remove/ })).toBeNull();
  expect(screen.queryByText('Actions')).toBeNull();
});
