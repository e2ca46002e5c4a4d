import { describe, expect, it } from 'vitest';
import {
  blockedReason,
  blockedSummary,
  contactLabel,
  contactErrors,
  fingerprintIn,
  NOTHING_KNOWN,
} from './blocked.ts';

const SHA = 'AB'.repeat(32);

describe('a blocked program', () => {
  it.each([
    [SHA, SHA.toLowerCase()],
    [`${SHA}/`, SHA.toLowerCase()],
    [`file/${SHA}/machine`, SHA.toLowerCase()],
    [`${SHA}0`, undefined],
    ['', undefined],
    ['%file_identifier%', undefined],
  ])('is named by the fingerprint in %s', (path, expected) => {
    expect(fingerprintIn(path)).toBe(expected);
  });

  it('has a reason in plain words, also when nothing is known', () => {
    expect(blockedReason('unknown')).toContain('nobody has approved');
    expect(blockedReason('developer')).toContain('developer');
    expect(blockedReason(null)).toBe(NOTHING_KNOWN);
    expect(blockedReason(undefined)).toBe(NOTHING_KNOWN);
  });

  it('has a summary for the help desk', () => {
    const program = { name: 'Game', publisher: '', cause: 'file' } as const;
    expect(blockedSummary(program, SHA)).toBe(
      `A program was blocked on my Mac.\nProgram: Game\nSHA-256: ${SHA}\nWhy I need it: `,
    );
    expect(blockedSummary(null, undefined)).toBe(
      'A program was blocked on my Mac.\nWhy I need it: ',
    );
  });

  it.each([
    ['mailto:help%2Bmac@example.com?subject=x', 'help+mac@example.com'],
    ['MAILTO:help@example.com', 'help@example.com'],
    ['mailto:100%@example.com', '100%@example.com'],
    ['https://help.example.com/a%20b', 'https://help.example.com/a%20b'],
  ])('shows the contact %s as %s', (url, shown) => {
    expect(contactLabel(url)).toBe(shown);
  });

  it.each(['', 'https://help.example.com/x', ' mailto:help@example.com?subject=a%20b '])(
    'takes the contact %s',
    (url) => expect(contactErrors({ url })).toEqual({}),
  );

  it.each([
    'http://help.example.com',
    'javascript:alert(1)',
    'help@example.com',
    'https://a@b.example',
    'mailto:',
  ])('refuses the contact %s', (url) => expect(contactErrors({ url })).not.toEqual({}));
});
