import { describe, expect, it } from 'vitest';
import type { ImportPlan } from '../api/types.ts';
import { LARGEST_FILE, canApply, describePlan, fileError, formatOf } from './rule-file.ts';

const plan: ImportPlan = {
  applied: false,
  policy_seq: 7,
  rules: 6,
  added: 2,
  changed: 1,
  removed: 0,
  unchanged: 3,
  changes: [],
  mistakes: [],
  mistakes_total: 0,
  warnings: [],
};

describe('a file of rules', () => {
  it.each([
    ['rules.JSON', '', 'json'],
    ['rules.csv', '[', 'csv'],
    ['rules.txt', '\n {"rules": []}', 'json'],
    ['rules', 'rule_type,identifier', 'csv'],
  ])('%s that begins with %j is %s', (name, content, format) => {
    expect(formatOf(name, content)).toBe(format);
  });

  it('may be missing, empty or too large', () => {
    expect(fileError(undefined)).toBe('Choose a file.');
    expect(fileError({ size: 0 })).toContain('empty');
    expect(fileError({ size: LARGEST_FILE + 1 })).toContain('16 MB');
    expect(fileError({ size: 10 })).toBeNull();
  });
});

describe('a plan', () => {
  it('is said in words', () => {
    expect(describePlan(plan)).toBe('2 rules are added, 1 is changed, 3 stay unchanged.');
    expect(describePlan({ ...plan, added: 0, changed: 0 })).toBe(
      'No changes: 3 rules exist already.',
    );
  });

  it('can be applied when it is free of mistakes and changes something', () => {
    expect(canApply(plan)).toBe(true);
    expect(canApply({ ...plan, mistakes_total: 1 })).toBe(false);
    expect(canApply({ ...plan, added: 0, changed: 0 })).toBe(false);
    expect(canApply({ ...plan, applied: true })).toBe(false);
  });
});
