import { describe, expect, it } from 'vitest';
import { accessDecision, baseName } from './file-access.ts';

describe('file accesses', () => {
  it('have decisions in words, known or not', () => {
    expect(accessDecision('FILE_ACCESS_DECISION_DENIED')).toMatchObject({
      label: 'Denied',
      tone: 'danger',
    });
    expect(accessDecision('FILE_ACCESS_DECISION_NEW')).toMatchObject({
      label: 'NEW',
      tone: 'neutral',
    });
  });

  it('are by programs that are called by the last part of their path', () => {
    expect(baseName('/bin/cat')).toBe('cat');
    expect(baseName('cat')).toBe('cat');
    expect(baseName('')).toBe('');
  });
});
