import { describe, expect, it } from 'vitest';
import { moved, rebased, sameOrder } from './tag-order.ts';

describe('the order of tags', () => {
  it('changes by one place, and not beyond its ends', () => {
    expect(moved(['a', 'b', 'c'], 2, -1)).toEqual(['a', 'c', 'b']);
    expect(moved(['a', 'b', 'c'], 0, 1)).toEqual(['b', 'a', 'c']);
    const items = ['a', 'b'];
    expect(moved(items, 0, -1)).toBe(items);
    expect(moved(items, 1, 1)).toBe(items);
  });

  it('is the same only with the same tags at the same places', () => {
    expect(sameOrder([1, 2], [1, 2])).toBe(true);
    expect(sameOrder([1, 2], [2, 1])).toBe(false);
    expect(sameOrder([1, 2], [1])).toBe(false);
  });

  it('keeps what was moved when tags come and go meanwhile', () => {
    expect(rebased([3, 1, 2], [4, 1, 3])).toEqual([4, 3, 1]);
  });
});
