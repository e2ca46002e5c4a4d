import { describe, expect, it } from 'vitest';
import {
  bytes,
  count,
  exactTime,
  percent,
  plural,
  relativeTime,
  seconds,
  shortIdentifier,
} from './format.ts';

const now = Date.parse('2026-11-23T12:00:00Z');

describe('relativeTime', () => {
  it.each([
    [null, 'never'],
    ['no date', 'unknown'],
    ['2026-11-23T11:59:30Z', 'just now'],
    ['2026-11-23T12:00:20Z', 'just now'],
    ['2026-11-23T11:59:10Z', '1 min ago'],
    ['2026-11-23T11:00:30Z', '60 min ago'],
    ['2026-11-23T09:00:00Z', '3 h ago'],
    ['2026-11-22T11:00:00Z', '1 day ago'],
    ['2026-11-18T12:00:00Z', '5 days ago'],
    ['2026-11-23T14:00:00Z', 'in 2 h'],
  ])('says %s as "%s"', (iso, text) => {
    expect(relativeTime(iso, now)).toBe(text);
  });

  it('gives a date for what is more than a week away', () => {
    expect(relativeTime('2026-10-01T12:00:00Z', now)).toMatch(/^1 Oct/);
  });
});

describe('numbers', () => {
  it('groups digits and shows what is not known as a dash', () => {
    expect(count(12345)).toBe('12,345');
    expect(count(null)).toBe('–');
  });

  it('agrees with its noun', () => {
    expect(plural(1, 'machine holds', 'machines hold')).toBe('1 machine holds');
    expect(plural(0, 'rule')).toBe('0 rules');
  });

  it('is 0 or 100 percent only when nothing or all is meant', () => {
    expect([percent(1, 1000), percent(999, 1000), percent(3, 3), percent(0, 0)]).toEqual([
      1, 99, 100, 0,
    ]);
  });

  it('names bytes by the unit that keeps them short', () => {
    expect([0, 950, 1024, 1400, 64e6, 999_600, 5e15].map(bytes)).toEqual([
      '0 B',
      '950 B',
      '1 kB',
      '1.4 kB',
      '64 MB',
      '1 MB',
      '5000 TB',
    ]);
  });

  it('names seconds by the largest unit that fits', () => {
    expect([seconds(90), seconds(600), seconds(7200), seconds(60)]).toEqual([
      '90 s',
      '10 min',
      '2 h',
      '60 s',
    ]);
  });
});

describe('texts', () => {
  it('shortens hashes and nothing else', () => {
    expect(shortIdentifier('f6b0d2c5'.repeat(8))).toBe('f6b0d2c5f6…b0d2c5');
    expect(shortIdentifier('ABCDE12345:com.example.a.very.long.identifier')).toBe(
      'ABCDE12345:com.example.a.very.long.identifier',
    );
  });

  it('has no exact time for a missing one', () => {
    expect(exactTime(null)).toBe('');
  });
});
