import { describe, expect, it } from 'vitest';
import { same, union, watchMessage } from './watch.ts';

describe('what is shown together', () => {
  it('has every machine once, in one order', () => {
    const shown = union([{ machines: ['B', 'A'] }, { events: true }, { machines: ['A', 'C'] }]);
    expect(shown).toEqual({ events: true, machines: ['A', 'B', 'C'] });
    expect(same(shown, union([{ events: true, machines: ['C', 'B', 'A'] }]))).toBe(true);
    expect(same(shown, union([{ machines: ['C', 'B', 'A'] }]))).toBe(false);
    expect(union([])).toEqual({ events: false, machines: [] });
  });

  it('keeps to what the server takes: the first rows of a long list', () => {
    const ids = Array.from({ length: 800 }, (_, number) => `M-${String(number).padStart(3, '0')}`);
    expect(union([{ machines: ids }]).machines).toEqual(ids.slice(0, 500));
    const long = ids.map((id) => id + '日'.repeat(300));
    const shown = union([{ machines: long }]);
    expect(shown.machines?.length).toBeGreaterThan(50);
    expect(new TextEncoder().encode(watchMessage(shown, 1)).length).toBeLessThan(64 * 1024);
  });

  it('does not ask for more of the past than the server takes', () => {
    expect(JSON.parse(watchMessage({ events: true }, 9999))).toEqual({
      ...{ type: 'watch', topics: ['events'], machines: [], ago: 3600 },
    });
  });
});
