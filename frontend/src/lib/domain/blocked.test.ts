import { describe, expect, it } from 'vitest';
import { blockedReason, blockedSummary, fingerprintIn, NOTHING_KNOWN } from './blocked.ts';

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
});
