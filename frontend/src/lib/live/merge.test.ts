import { describe, expect, it } from 'vitest';
import { someEvent, someRule } from '../testing/samples.ts';
import {
  appended,
  countFitting,
  eventFits,
  refreshed,
  replace,
  upsert,
  withEvent,
  withRuleChange,
} from './merge.ts';

const id = (item: { id: number }) => item.id;
const rows = (...ids: number[]) => ids.map((n) => ({ id: n }));
const at = '2026-11-23T12:00:00Z';

describe('rows', () => {
  it('come on top when new and stay in place when known', () => {
    expect(upsert(rows(2, 1), { id: 3 }, id)).toEqual(rows(3, 2, 1));
    expect(upsert(rows(2, 1), { id: 1, x: 1 } as { id: number }, id)).toEqual([
      { id: 2 },
      { id: 1, x: 1 },
    ]);
  });

  it('are replaced only when shown', () => {
    const list = rows(2, 1);
    expect(replace(list, { id: 9 }, id)).toBe(list);
  });

  it('never appear twice when the next page overlaps', () => {
    expect(appended(rows(4, 3), rows(3, 2), id)).toEqual(rows(4, 3, 2));
  });
});

describe('reading again', () => {
  it('keeps older rows below what was read, with their cursor', () => {
    const page = { items: rows(5, 4, 3), next_cursor: 'after-3' };
    expect(refreshed(rows(4, 3, 2, 1), page, 'after-1', id)).toEqual({
      items: rows(5, 4, 3, 2, 1),
      next_cursor: 'after-1',
    });
  });

  it('drops what is gone', () => {
    const page = { items: rows(5, 3), next_cursor: 'after-3' };
    expect(refreshed(rows(5, 4, 3), page, 'after-3', id)).toEqual(page);
  });

  it('shows only the new page when nothing connects it with the old rows', () => {
    const page = { items: rows(90, 89), next_cursor: 'after-89' };
    expect(refreshed(rows(3, 2), page, 'after-2', id)).toEqual(page);
  });

  it('trusts a page that is the last one', () => {
    const page = { items: rows(5), next_cursor: null };
    expect(refreshed(rows(5, 4), page, 'after-4', id)).toEqual(page);
  });
});

describe('a live event', () => {
  const event = (number: number, minute: number) =>
    someEvent({ id: number, occurred_at: `2026-11-23T12:${String(minute).padStart(2, '0')}:00Z` });
  const shown = [event(9, 30), event(4, 20), event(3, 20), event(1, 10)];
  const ids = (items: readonly { id: number }[]) => items.map((item) => item.id);

  it.each([
    [event(10, 40), [10, 9, 4, 3, 1]],
    [event(10, 25), [9, 10, 4, 3, 1]],
    [event(10, 20), [9, 10, 4, 3, 1]],
    [event(2, 20), [9, 4, 3, 2, 1]],
    [event(10, 5), [9, 4, 3, 1, 10]],
    [event(4, 20), [9, 4, 3, 1]],
  ])('takes its place by time %#', (one, expected) => {
    expect(ids(withEvent(shown, one, false))).toEqual(expected);
  });

  it('is left to the rows below when they are not loaded', () => {
    expect(withEvent(shown, event(10, 5), true)).toBe(shown);
  });

  const counted = (machine_id: string) =>
    ({
      type: 'event',
      at,
      machine_id,
      hostname: '',
      event: null,
      count: 10,
      number: 1,
      decisions: { BLOCK_UNKNOWN: 1, BLOCK_TEAMID: 2, ALLOW_UNKNOWN: 3, ALLOW_BINARY: 4 },
    }) as const;

  it.each([
    [{}, 10],
    [{ q: 'x' }, 10],
    [{ decision: 'blocked' }, 3],
    [{ decision: 'unknown' }, 4],
    [{ decision: 'allowed' }, 7],
    [{ decision: 'BLOCK_TEAMID' }, 2],
    [{ decision: 'BLOCK_CDHASH' }, 0],
    [{ machine_id: 'M' }, 0],
  ])('is counted for %j: %i', (filters, number) => {
    expect(countFitting(counted(''), filters)).toBe(number);
  });

  it('of one machine is counted in the list of that machine only', () => {
    expect(countFitting(counted('M'), {})).toBe(0);
    expect(countFitting(counted('M'), { machine_id: 'M', decision: 'blocked' })).toBe(3);
    expect(countFitting(counted('M'), { machine_id: 'N' })).toBe(0);
  });
});

describe('an event', () => {
  it('fits an unfiltered list', () => {
    expect(eventFits(someEvent(), {})).toBe(true);
  });

  it.each([
    [{ decision: 'blocked' }, true],
    [{ decision: 'allowed' }, false],
    [{ decision: 'BLOCK_BINARY' }, true],
    [{ decision: 'BLOCK_TEAMID' }, false],
    [{ machine_id: 'M-1' }, true],
    [{ machine_id: 'M-2' }, false],
    [{ q: 'OPT/to' }, true],
    [{ q: 'elsewhere' }, false],
    [{ q: 'tool', decision: 'unknown' }, false],
  ])('fits %j: %s', (filters, fits) => {
    expect(eventFits(someEvent(), filters)).toBe(fits);
  });

  it('is unknown when no rule matched, blocked or not', () => {
    const event = someEvent({ decision: 'BLOCK_UNKNOWN' });
    expect(eventFits(event, { decision: 'unknown' })).toBe(true);
    expect(eventFits(event, { decision: 'blocked' })).toBe(true);
  });
});

describe('news of a rule', () => {
  const rule = someRule({ id: 7 });

  it('adds a new rule on top of a list that it belongs to', () => {
    const message = { type: 'rule', at, action: 'created', rule } as const;
    expect(withRuleChange([], message, { policy: 'BLOCKLIST' })).toEqual([rule]);
    expect(withRuleChange([], message, { policy: 'ALLOWLIST' })).toEqual([]);
    expect(withRuleChange([], message, { q: 'no such text' })).toEqual([]);
  });

  it('changes a rule in place and drops it when it no longer fits', () => {
    const changed = someRule({ id: 7, policy: 'ALLOWLIST' });
    const message = { type: 'rule', at, action: 'changed', rule: changed } as const;
    expect(withRuleChange([rule], message, {})).toEqual([changed]);
    expect(withRuleChange([rule], message, { policy: 'BLOCKLIST' })).toEqual([]);
  });

  it('does not pull up a changed rule from further down', () => {
    const list = [someRule({ id: 1 })];
    const message = { type: 'rule', at, action: 'changed', rule } as const;
    expect(withRuleChange(list, message, {})).toBe(list);
  });

  it('removes a rule, once', () => {
    const message = { type: 'rule', at, action: 'removed', rule } as const;
    const rest = withRuleChange([rule], message, {});
    expect(rest).toEqual([]);
    expect(withRuleChange(rest, message, {})).toBe(rest);
  });
});
