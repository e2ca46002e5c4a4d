import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Machine } from '../../api/types.ts';
import { someMachine } from '../../testing/samples.ts';
import { machineUpdates } from './machine-updates.ts';

const at = '2026-11-23T12:00:00Z';
const sync = (machine_id: string, hostname: string) =>
  ({
    type: 'sync',
    at,
    machine_id,
    hostname,
    stage: 'postflight',
    kind: 'normal',
    changed: false,
    refused: false,
  }) as const;
const syncs = (changed: number) =>
  ({
    type: 'syncs',
    at,
    machines: 9,
    started: 9,
    finished: 9,
    refused: 0,
    changed,
    kinds: { normal: 9, clean: 0, clean_all: 0 },
  }) as const;

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

/** A list that shows the machines "berlin" and "munich". */
function setUp(complete: boolean, next: string | null = null) {
  const list = {
    items: ['berlin', 'munich'].map((name) =>
      someMachine({ machine_id: name.toUpperCase(), hostname: name, sync_state: 'pending' }),
    ),
    next,
    refresh: vi.fn(() => Promise.resolve()),
    update(change: (items: Machine[]) => Machine[]) {
      list.items = change(list.items);
    },
  };
  const read = vi.fn((machine_id: string) =>
    Promise.resolve(someMachine({ machine_id, hostname: machine_id.toLowerCase() })),
  );
  const updates = machineUpdates({ list: () => list, complete: () => complete, read });
  return { list, read, updates };
}

describe('updates of a list of machines', () => {
  it('renews the one that synced, and no other', async () => {
    const { list, read, updates } = setUp(false);
    updates.hear(sync('MUNICH', 'munich'));
    await vi.advanceTimersByTimeAsync(0);
    expect(list.items.map(({ hostname, sync_state }) => [hostname, sync_state])).toEqual([
      ['berlin', 'pending'],
      ['munich', 'in_sync'],
    ]);
    expect([read.mock.calls.length, list.refresh.mock.calls.length]).toEqual([1, 0]);
  });

  it.each([
    ['a whole list', true, null],
    ['a filtered list', false, null],
    ['a part of a filtered list', false, 'more'],
  ])('leaves the place of one that is not shown in %s to the server', async (_, complete, next) => {
    const { list, read, updates } = setUp(complete, next);
    updates.hear(sync('ZURICH', 'zurich'));
    await vi.advanceTimersByTimeAsync(0);
    expect(list.items).toHaveLength(2);
    expect(list.refresh).toHaveBeenCalledOnce();
    expect(read).not.toHaveBeenCalled();
  });

  it('reads nothing for one below the rows that are loaded', async () => {
    const { list, read, updates } = setUp(true, 'more');
    updates.hear(sync('ZURICH', 'zurich'));
    await vi.advanceTimersByTimeAsync(2000);
    expect([read.mock.calls.length, list.refresh.mock.calls.length]).toEqual([0, 0]);
  });

  it.each(['hamburg', 'aachen', ''])(
    'reads the list for one that belongs between the rows that are loaded: %j',
    async (hostname) => {
      const { list, updates } = setUp(true, 'more');
      updates.hear(sync('NEW', hostname));
      await vi.advanceTimersByTimeAsync(2000);
      expect(list.refresh).toHaveBeenCalledOnce();
    },
  );

  it('reads the list for one whose name changed: it belongs elsewhere', async () => {
    const { list, read, updates } = setUp(true, 'more');
    updates.hear(sync('BERLIN', 'zossen'));
    await vi.advanceTimersByTimeAsync(0);
    expect(list.refresh).toHaveBeenCalledOnce();
    expect(read).not.toHaveBeenCalled();
  });

  it('reads the list for one that enrolled', async () => {
    const { list, updates } = setUp(true, 'more');
    updates.hear({
      type: 'machine',
      at,
      machine_id: 'Z',
      hostname: 'zurich',
      change: 'enrolled',
      enrollment: null,
    });
    await vi.advanceTimersByTimeAsync(2000);
    expect(list.refresh).toHaveBeenCalledOnce();
  });

  it('reads the list once when many changed', async () => {
    const { list, read, updates } = setUp(true);
    updates.hear(sync('BERLIN', 'berlin'));
    for (let n = 0; n < 100; n += 1) updates.hear(sync(`M-${n}`, `mac-${n}`));
    await vi.advanceTimersByTimeAsync(2000);
    expect(read).toHaveBeenCalledTimes(1);
    expect(list.refresh).toHaveBeenCalledTimes(1);
  });

  it('reads the list after missed messages', () => {
    const { list, updates } = setUp(true);
    updates.hear({ type: 'lagged', at, lost: null });
    expect(list.refresh).toHaveBeenCalledOnce();
  });

  it('reads the list again when the machine that another process served has a new name', async () => {
    const { list, read, updates } = setUp(true);
    read.mockResolvedValueOnce(someMachine({ machine_id: 'BERLIN', hostname: 'zossen' }));
    updates.hear(sync('BERLIN', ''));
    await vi.advanceTimersByTimeAsync(0);
    expect(list.refresh).toHaveBeenCalledOnce();
  });

  it.each([
    ['others changed and not all are shown', true, 'more', 1, 1],
    ['others changed and a search hides them', false, null, 1, 1],
    ['others changed, but all machines are shown', true, null, 1, 0],
    ['nothing changed', false, 'more', 0, 0],
  ])('when %s', async (_, complete, next, changed, reads) => {
    const { list, updates } = setUp(complete, next);
    updates.hear(syncs(changed));
    await vi.advanceTimersByTimeAsync(5000);
    expect(list.refresh).toHaveBeenCalledTimes(reads);
    updates.hear(syncs(changed));
    await vi.advanceTimersByTimeAsync(1000);
    expect(list.refresh).toHaveBeenCalledTimes(reads);
    await vi.advanceTimersByTimeAsync(10_000);
    expect(list.refresh).toHaveBeenCalledTimes(2 * reads);
    updates.stop();
  });

  it('repeats a search more rarely the longer it takes the server', async () => {
    const { list, updates } = setUp(false);
    list.refresh.mockImplementation(() => new Promise((done) => setTimeout(done, 120)));
    updates.hear(syncs(1));
    await vi.advanceTimersByTimeAsync(9999);
    updates.hear(syncs(1));
    await vi.advanceTimersByTimeAsync(1);
    expect(list.refresh).toHaveBeenCalledTimes(2);
    updates.hear(syncs(1));
    await vi.advanceTimersByTimeAsync(23_999); // 200 times 120 ms
    expect(list.refresh).toHaveBeenCalledTimes(2);
    await vi.advanceTimersByTimeAsync(1);
    expect(list.refresh).toHaveBeenCalledTimes(3);
    updates.stop();
  });
});
