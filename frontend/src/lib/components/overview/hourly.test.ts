import { describe, expect, it } from 'vitest';
import { hourlyScale } from './hourly.ts';

const hour = (blocked: number, unknown: number) => ({
  hour: '2026-11-23T12:00:00Z',
  blocked,
  unknown,
  allowed: 0,
});

describe('the chart by hour', () => {
  it.each([
    [0, 4],
    [4, 4],
    [5, 10],
    [10, 10],
    [11, 20],
    [37, 40],
    [41, 100],
    [1200, 2000],
  ])('with a tallest bar of %d reaches to %d', (tallest, top) => {
    expect(hourlyScale([hour(tallest, 0)]).top).toBe(top);
  });

  it('stacks both kinds within the scale', () => {
    const { bars } = hourlyScale([hour(5, 15), hour(0, 0)]);
    expect(bars.map((bar) => [bar.blockedHeight, bar.unknownHeight])).toEqual([
      [25, 75],
      [0, 0],
    ]);
  });
});
