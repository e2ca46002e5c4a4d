import { render, screen, waitFor } from '@testing-library/svelte';
import { expect, it, vi } from 'vitest';
import type { Tag } from '../../api/types.ts';
import { moved } from '../../domain/tag-order.ts';
import { someTag } from '../../testing/samples.ts';
import TagTable from './TagTable.svelte';

async function open(mayEdit = true) {
  let tags: readonly Tag[] = ['a', 'b', 'c'].map((name, id) => someTag({ id, name }));
  const onmove = vi.fn((index: number, by: -1 | 1) => {
    tags = moved(tags, index, by);
    void rerender({ tags });
  });
  const { rerender } = render(TagTable, { tags, mayEdit, onmove });
  return onmove;
}

const names = () => screen.getAllByRole('link').map((link) => link.textContent);
const button = (name: string) => screen.getByRole<HTMLButtonElement>('button', { name });
const focused = () => document.activeElement?.textContent?.trim();

it('moves a tag, whose button keeps the focus', async () => {
  await open();
  button('Move c up').focus();
  button('Move c up').click();
  await waitFor(() => expect(names()).toEqual(['a', 'c', 'b']));
  await waitFor(() => expect(focused()).toBe('Move c up'));
});

it('gives the focus to the other button where a tag can go no further', async () => {
  await open();
  button('Move b up').click();
  await waitFor(() => expect(names()).toEqual(['b', 'a', 'c']));
  await waitFor(() => expect(focused()).toBe('Move b down'));
  expect(button('Move b up').disabled).toBe(true);
  expect(button('Move c down').disabled).toBe(true);
});

it('only shows the order to those who may not change it', async () => {
  await open(false);
  expect(names()).toEqual(['a', 'b', 'c']);
  expect(screen.queryByRole('button')).toBeNull();
});
