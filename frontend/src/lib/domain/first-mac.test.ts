import { expect, it } from 'vitest';
import { arrivedBy, type Arrival } from './first-mac.ts';
import type { LiveMessage } from '../live/messages.ts';

const told = (machine_id: string, change: string, enrollment: number | null = 3): LiveMessage =>
  ({
    type: 'machine',
    at: '2026-11-30T12:00:00Z',
    machine_id,
    hostname: `mac-${machine_id}`,
    change,
    enrollment,
  }) as LiveMessage;

function after(...messages: LiveMessage[]): readonly Arrival[] {
  return messages.reduce<readonly Arrival[]>(
    (arrivals, message) => arrivedBy(arrivals, message, 3),
    [],
  );
}

it('follows a Mac from its first contact to the end of its first sync', () => {
  expect(after(told('42', 'enrolled'))).toEqual([
    { machine_id: '42', hostname: 'mac-42', state: 'begun' },
  ]);
  const done = after(told('42', 'enrolled'), told('43', 'enrolled'), told('42', 'first_sync'));
  expect(done.map(({ machine_id, state }) => `${machine_id} ${state}`)).toEqual([
    '42 synced',
    '43 begun',
  ]);
});

it('tells of Macs that moved to the present secret', () => {
  expect(after(told('1', 'secret_changed'))[0]?.state).toBe('moved');
});

it('ignores other enrollments, other changes, and other messages', () => {
  const before = after(told('1', 'enrolled'));
  for (const message of [
    told('2', 'enrolled', 4),
    told('2', 'enrolled', null),
    told('2', 'retired'),
    { type: 'lagged', at: '2026-11-30T12:00:00Z', lost: null } as LiveMessage,
  ]) {
    expect(arrivedBy(before, message, 3)).toBe(before);
  }
});

it('keeps the newest only', () => {
  const many = Array.from({ length: 30 }, (_, number) => told(String(number), 'enrolled'));
  expect(after(...many).map(({ machine_id }) => machine_id)).toEqual([
    '29',
    '28',
    '27',
    '26',
    '25',
  ]);
});
