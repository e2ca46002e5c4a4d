import { describe, expect, it } from 'vitest';
import { ApiError } from '../api/errors.ts';
import type { Page, Position } from '../api/types.ts';
import { PagedList } from './paged-list.svelte.ts';

interface Row {
  id: number;
}
const rows = (...ids: number[]): Row[] => ids.map((id) => ({ id }));
const key = (row: Row) => row.id;

/** A list whose responses the test sends. */
function byHand() {
  const calls: { position: Position; give: (page: Page<Row>) => void; fail: () => void }[] = [];
  const read = (position: Position) =>
    new Promise<Page<Row>>((resolve, reject) => {
      calls.push({
        position,
        give: resolve,
        fail: () => reject(new ApiError(503, 'down')),
      });
    });
  return { list: new PagedList<Row>({ read, key, size: 2 }), calls };
}
const call = (calls: ReturnType<typeof byHand>['calls'], index: number) =>
  calls[index] as (typeof calls)[number];

describe('a paged list', () => {
  it('reads its first page by itself', async () => {
    const { list, calls } = byHand();
    expect(list.phase).toBe('loading');
    call(calls, 0).give({ items: rows(2, 1), next_cursor: null });
    await list.first;
    expect([list.phase, list.items, list.next]).toEqual(['ready', rows(2, 1), null]);
  });

  it('says why it could not, and recovers', async () => {
    const { list, calls } = byHand();
    call(calls, 0).fail();
    await list.first;
    expect([list.phase, list.error?.status]).toEqual(['failed', 503]);
    const again = list.reload();
    call(calls, 1).give({ items: rows(1), next_cursor: null });
    await again;
    expect([list.phase, list.error]).toEqual(['ready', null]);
  });

  it('loads more from the cursor, once at a time', async () => {
    const { list, calls } = byHand();
    call(calls, 0).give({ items: rows(4, 3), next_cursor: 'c' });
    await list.first;
    const more = list.more();
    void list.more();
    expect(calls).toHaveLength(2);
    expect(call(calls, 1).position).toEqual({ cursor: 'c', limit: 2 });
    call(calls, 1).give({ items: rows(2), next_cursor: null });
    await more;
    expect(list.items).toEqual(rows(4, 3, 2));
  });

  it('keeps its rows when the next page fails', async () => {
    const { list, calls } = byHand();
    call(calls, 0).give({ items: rows(4, 3), next_cursor: 'c' });
    await list.first;
    const more = list.more();
    call(calls, 1).fail();
    await more;
    expect([list.phase, list.items, list.next]).toEqual(['ready', rows(4, 3), 'c']);
    expect(list.error?.status).toBe(503);
  });

  it('ignores an answer that a newer question overtook', async () => {
    const { list, calls } = byHand();
    const newer = list.reload();
    call(calls, 1).give({ items: rows(9), next_cursor: null });
    await newer;
    call(calls, 0).give({ items: rows(1), next_cursor: null });
    await list.first;
    expect(list.items).toEqual(rows(9));
  });

  it('refreshes as many rows as it shows without hiding them', async () => {
    const { list, calls } = byHand();
    call(calls, 0).give({ items: rows(4, 3), next_cursor: 'c' });
    await list.first;
    list.update((items) => [{ id: 5 }, ...items]);
    const refresh = list.refresh();
    expect([list.phase, call(calls, 1).position.limit]).toEqual(['ready', 3]);
    call(calls, 1).give({ items: rows(5, 4), next_cursor: null });
    await refresh;
    expect(list.items).toEqual(rows(5, 4));
  });

  it('keeps news that arrived while an older state was being read', async () => {
    const { list, calls } = byHand();
    list.update((items) => [{ id: 3 }, ...items.filter((row) => row.id !== 3)]);
    call(calls, 0).give({ items: rows(2, 1), next_cursor: null });
    await list.first;
    expect(list.items).toEqual(rows(3, 2, 1));
    const refresh = list.refresh();
    list.update((items) => items.filter((row) => row.id !== 1));
    call(calls, 1).give({ items: rows(3, 2, 1), next_cursor: null });
    await refresh;
    expect(list.items).toEqual(rows(3, 2));
  });

  it('never goes back to the answer of an earlier question', async () => {
    const { list, calls } = byHand();
    call(calls, 0).give({ items: rows(1), next_cursor: null });
    await list.first;
    const slow = list.refresh();
    const quick = list.refresh();
    call(calls, 2).give({ items: rows(2, 1), next_cursor: null });
    await quick;
    call(calls, 1).give({ items: rows(1), next_cursor: null });
    await slow;
    expect(list.items).toEqual(rows(2, 1));
  });

  it('shows no news before it has its rows', () => {
    const { list } = byHand();
    list.update(() => rows(7));
    expect([list.phase, list.items]).toEqual(['loading', []]);
  });
});
