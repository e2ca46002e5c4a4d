import { expect, it } from 'vitest';
import { someEnrollment, someSecret } from '../testing/samples.ts';
import {
  emptyRotation,
  isValid,
  rotationErrors,
  secretCounts,
  toRotation,
} from './enrollment-secrets.ts';

const NOW = Date.parse('2026-11-30T12:00:00Z');

it('lets the present secret work for another 30 days unless another time is chosen', () => {
  const form = emptyRotation(NOW);
  expect(toRotation(form).previous_valid_until).toBe('2026-12-30T12:00:00.000Z');
  expect(rotationErrors(form, NOW)).toEqual({});
  expect(toRotation({ previous_valid_until: '' }).previous_valid_until).toBeNull();
  expect(rotationErrors({ previous_valid_until: '' }, NOW)).toEqual({});
});

it.each(['2026-11-29T12:00', '2027-12-30T12:00', 'soon'])('refuses %s as an end', (text) => {
  expect(rotationErrors({ previous_valid_until: text }, NOW)).toHaveProperty(
    'previous_valid_until',
  );
});

it('counts Macs with a previous secret, and what was refused', () => {
  const refused = {
    count: 4,
    last_at: '2026-11-30T11:00:00Z',
    last_reason: 'network' as const,
    last_address: '203.0.113.9',
  };
  const secrets = [
    someSecret({ machines: 5, refused }),
    someSecret({ id: 6, current: false, valid_until: '2026-12-01T12:00:00Z', machines: 2 }),
    someSecret({
      id: 5,
      current: false,
      valid_until: '2026-11-01T12:00:00Z',
      machines: 1,
      refused,
    }),
  ];
  expect(secretCounts(someEnrollment({ secrets }))).toEqual({ previous: 3, refused: 8 });
  expect(secrets.map((secret) => isValid(secret, NOW))).toEqual([true, true, false]);
});
