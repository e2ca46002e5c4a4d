import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Machine } from '../../api/types.ts';
import { someMachine } from '../../testing/samples.ts';
import { machineNews } from './machine-news.ts';

const at = '2026-11-23T12:00:00Z';
const sync = (machine_id: string) =>
  ({ type: 'sync', at, machine_id, hostname: '', stage: 'postflight', kind: 'normal' }) as const;

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

function setUp(takesNew: boolean) {
  const list = {
    items: [someMachine({ machine_id: 'A', sync_state: 'pending' })],
    refresh: vi.fn(() => Promise.resolve()),
    update(change: (items: Machine[]) => Machine[]) {
      list.items = change(list.items);
    },
  };
  const read = vi.fn((machine_id: string) => Promise.resolve(someMachine({ machine_id })));
  return { list, read, news: machineNews({ list: () => list, takesNew: () => takesNew, read }) };
}

describe('news of machines', () => {
  it('renews the one that synced', async () => {
    const { list, news } = setUp(false);
    news.hear(sync('A'));
    await vi.advanceTimersByTimeAsync(0);
    expect(list.items.map((machine) => machine.sync_state)).toEqual(['in_sync']);
  });

  it('adds a new one to an unfiltered list, and reads a filtered one again', async () => {
    const open = setUp(true);
    const filtered = setUp(false);
    for (const { news } of [open, filtered]) news.hear(sync('B'));
    await vi.advanceTimersByTimeAsync(0);
    expect(open.list.items.map((machine) => machine.machine_id)).toEqual(['B', 'A']);
    expect(open.list.refresh).not.toHaveBeenCalled();
    expect(filtered.list.items.map((machine) => machine.machine_id)).toEqual(['A']);
    expect(filtered.list.refresh).toHaveBeenCalledOnce();
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
