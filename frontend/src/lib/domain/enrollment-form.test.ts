import { describe, expect, it } from 'vitest';
import {
  emptyEnrollmentForm,
  isUsable,
  serialsIn,
  tagsIn,
  toEnrollmentCreate,
} from './enrollment-form.ts';
import { termErrors } from './enrollment-terms.ts';

const NOW = Date.parse('2026-11-25T12:00:00Z');

describe('the enrollment form', () => {
  it('asks for a label only', () => {
    expect(Object.keys(termErrors(emptyEnrollmentForm(), null, NOW))).toEqual(['label']);
    expect(termErrors({ ...emptyEnrollmentForm(), label: 'x' }, null, NOW)).toEqual({});
  });

  it.each(['0', '-1', '1.5', 'many', '12345678901'])('refuses %s places', (quota) => {
    const form = { ...emptyEnrollmentForm(), label: 'x', quota };
    expect(termErrors(form, null, NOW)).toHaveProperty('quota');
  });

  it('refuses a time that has passed', () => {
    const form = { ...emptyEnrollmentForm(), label: 'x', expires_at: '2026-11-24T12:00' };
    expect(termErrors(form, null, NOW)).toHaveProperty('expires_at');
    expect(termErrors({ ...form, expires_at: '2026-12-24T12:00' }, null, NOW)).toEqual({});
  });

  it('reads serial numbers however they are separated', () => {
    expect(serialsIn(' c02a, C02B;c02c\n\nC02D ')).toEqual(['C02A', 'C02B', 'C02C', 'C02D']);
  });

  it('reads tags with spaces in their names', () => {
    expect(tagsIn('Design lab, Pilots ,')).toEqual(['Design lab', 'Pilots']);
  });

  it('sends nothing for what was left empty', () => {
    expect(toEnrollmentCreate({ ...emptyEnrollmentForm(), label: ' Office ' })).toEqual({
      label: 'Office',
      quota: null,
      serial_allowlist: null,
      expires_at: null,
      client_certificate: false,
      certificate_serial: false,
      networks: [],
      reenroll_retired: false,
      tags: [],
    });
  });

  it('knows which enrollments still let Macs sync', () => {
    expect(
      (['active', 'full', 'expired', 'revoked'] as const).map((state) => isUsable({ state })),
    ).toEqual([true, true, false, false]);
  });
});
