import { describe, expect, it } from 'vitest';
import {
  formFromEnrollment,
  termLabel,
  termErrors,
  termWords,
  toEnrollmentPatch,
} from './enrollment-terms.ts';
import { toLocalInput } from './local-time.ts';
import { someEnrollment } from '../testing/samples.ts';

const NOW = Date.parse('2026-11-25T12:00:00Z');
const stored = formFromEnrollment(
  someEnrollment({ label: 'Office', quota: 30, expires_at: '2026-11-01T10:00:30Z' }),
);

describe('what can be changed of an enrollment', () => {
  it('sends only what was changed', () => {
    expect(toEnrollmentPatch(stored, stored)).toEqual({});
    expect(toEnrollmentPatch({ ...stored, reenroll_retired: true }, stored)).toEqual({
      reenroll_retired: true,
    });
    expect(
      toEnrollmentPatch({ ...stored, label: ' Lab ', quota: '', expires_at: '' }, stored),
    ).toEqual({ label: 'Lab', quota: null, expires_at: null });
  });

  it('accepts an expiry that has passed only when it stays', () => {
    expect(termErrors(stored, stored, NOW)).toEqual({});
    const past = { ...stored, expires_at: toLocalInput('2026-11-02T10:00:00Z') };
    expect(termErrors(past, stored, NOW)).toHaveProperty('expires_at');
  });

  it('asks for a label and a whole number', () => {
    const wrong = { ...stored, label: ' ', quota: '1.5' };
    expect(Object.keys(termErrors(wrong, stored, NOW))).toEqual(['label', 'quota']);
  });

  it('names fields and values for a comparison', () => {
    expect(termLabel('quota')).toBe('Machine limit');
    expect(termWords('reenroll_retired', true)).toBe('Yes');
    expect(termWords('quota', '')).toBe('–');
    expect(termWords('label', 'Office')).toBe('Office');
  });
});
