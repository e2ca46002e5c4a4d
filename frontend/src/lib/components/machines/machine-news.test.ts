import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Machine } from '../../api/types.ts';
import { someMachine } from '../../testing/samples.ts';
import { machineNews } from './machine-news.ts';

const at = '2026-11-23T12:00:00Z';
const sync = (machine_id: string) =>
  ({ type: 'sync', at, machine_id, hostname: '', stage: 'postflight', kind: 'normal' }) as const;

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

function setUp(complete: boolean, next: string | null = null) {
  const list = {
    items: [someMachine({ machine_id: 'A', sync_state: 'pending' })],
    next,
    refresh: vi.fn(() => Promise.resolve()),
    update(change: (items: Machine[]) => Machine[]) {
      list.items = change(list.items);
    },
  };
  const read = vi.fn((machine_id: string) => Promise.resolve(someMachine({ machine_id })));
  return { list, read, news: machineNews({ list: () => list, complete: () => complete, read }) };
}

describe('news of machines', () => {
  it('renews the one that synced', async () => {
    const { list, news } = setUp(false);
    news.hear(sync('A'));
    await vi.advanceTimersByTimeAsync(0);
    expect(list.items.map((machine) => machine.sync_state)).toEqual(['in_sync']);
  });

  it.each([
    ['a whole list', true, null],
    ['a filtered list', false, null],
    ['a part of a filtered list', false, 'more'],
  ])('leaves the place of one that is not shown in %s to the server', async (_, complete, next) => {
    const { list, read, news } = setUp(complete, next);
    news.hear(sync('B'));
    await vi.advanceTimersByTimeAsync(0);
    expect(list.items.map((machine) => machine.machine_id)).toEqual(['A']);
    expect(list.refresh).toHaveBeenCalledOnce();
    expect(read).not.toHaveBeenCalled();
  });

  it('does nothing for one that is further down', async () => {
    const { list, read, news } = setUp(true, 'more');
    news.hear(sync('B'));
    await vi.advanceTimersByTimeAsync(2000);
    expect(list.items.map((machine) => machine.machine_id)).toEqual(['A']);
    expect(list.refresh).not.toHaveBeenCalled();
    expect(read).not.toHaveBeenCalled();
    news.hear({ type: 'machine', at, machine_id: 'C', hostname: '', change: 'enrolled' });
    await vi.advanceTimersByTimeAsync(2000);
    expect(list.refresh).toHaveBeenCalledOnce();
  });

  it('reads the whole list once when many changed', async () => {
    const { list, read, news } = setUp(true);
    news.hear(sync('A'));
    for (let n = 0; n < 100; n += 1) news.hear(sync(`M-${n}`));
    await vi.advanceTimersByTimeAsync(2000);
    expect(read).toHaveBeenCalledTimes(1);
    expect(list.refresh).toHaveBeenCalledTimes(1);
  });

  it('reads everything after missed messages', () => {
    const { list, news } = setUp(true);
    news.hear({ type: 'lagged', at });
    expect(list.refresh).toHaveBeenCalledOnce();
  });
});
