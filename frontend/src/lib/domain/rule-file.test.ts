import { describe, expect, it } from 'vitest';
import type { ImportPlan } from '../api/types.ts';
import {
  LARGEST_FILE,
  NO_CHOICES,
  canApply,
  contentOf,
  describePlan,
  fileError,
  requested,
  whereInFile,
} from './rule-file.ts';

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
  missing_layers: [],
  recognized: null,
};

describe('a file of rules', () => {
  it('is sent as its text, or in Base64 when it is not UTF-8', () => {
    const utf8 = new TextEncoder().encode('\ufeffGrüße');
    expect(contentOf(utf8)).toEqual({ content: '\ufeffGrüße', encoding: 'text' });
    const utf16 = new Uint8Array([0xff, 0xfe, 0x41, 0x00]);
    expect(contentOf(utf16)).toEqual({ content: '//5BAA==', encoding: 'base64' });
    const large = new Uint8Array(100_000).fill(0xff);
    expect(contentOf(large).content).toHaveLength(Math.ceil(100_000 / 3) * 4);
  });

  it('is asked for what was chosen', () => {
    expect(requested(NO_CHOICES)).toMatchObject({ layer: 'global', tag_names: {} });
    const tagNames = ' 3 = Engineering\n\n4=a=b\nx';
    expect(requested({ ...NO_CHOICES, tagNames }).tag_names).toEqual({
      '3': 'Engineering',
      '4': 'a=b',
    });
  });

  it.each([
    [{ line: 3, column: 1, entry: 1, file: '' }, 'line 3'],
    [{ line: 1, column: 90, entry: 2, file: '' }, 'line 1, column 90'],
    [{ line: 0, column: null, entry: 4, file: '' }, 'rule 4'],
    [{ line: 0, column: null, entry: null, file: 'a.tf' }, 'a.tf: file'],
  ])('%j is %s', (at, words) => {
    expect(whereInFile(at)).toBe(words);
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
