import { afterEach, describe, expect, it, vi } from 'vitest';
import { fromLocalInput, toLocalInput } from './local-time.ts';

afterEach(() => vi.unstubAllEnvs());

describe('a moment in a form', () => {
  it.each(['UTC', 'Europe/Berlin', 'America/Los_Angeles', 'Asia/Kolkata'])(
    'is shown in local time and sent as the same moment: %s',
    (zone) => {
      vi.stubEnv('TZ', zone);
      expect(fromLocalInput(toLocalInput('2026-07-01T10:30:00Z'))).toBe('2026-07-01T10:30:00.000Z');
    },
  );

  it('is shown in the reader’s time zone', () => {
    vi.stubEnv('TZ', 'Europe/Berlin');
    expect(toLocalInput('2026-07-01T22:30:00Z')).toBe('2026-07-02T00:30');
  });

  it('may be missing', () => {
    expect(toLocalInput(null)).toBe('');
    expect(fromLocalInput('')).toBeNull();
    expect(fromLocalInput('soon')).toBeNull();
  });
});
