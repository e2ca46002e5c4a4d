import { describe, expect, it } from 'vitest';
import { someEvent, someRule } from '../testing/samples.ts';
import { liveAddress } from './address.ts';
import { reconnectDelay } from './backoff.ts';
import { parseLiveMessage } from './messages.ts';

const at = '2026-11-23T12:00:00Z';

describe('messages', () => {
  it.each([
    { type: 'hello', at, process: 'p' },
    { type: 'lagged', at, lost: 300 },
    { type: 'syncs', at, changed: 0 },
    { type: 'machine', at, machine_id: 'M-1', hostname: 'm', change: 'enrolled' },
    { type: 'sync', at, machine_id: 'M-1', hostname: 'm', stage: 'postflight', kind: 'normal' },
    { type: 'event', at, machine_id: 'M-1', hostname: 'm', event: someEvent(), count: 1 },
    { type: 'event', at, machine_id: 'M-1', hostname: 'm', event: null, count: 12 },
    { type: 'rule', at, action: 'removed', rule: someRule() },
  ])('are read: $type', (message) => {
    expect(parseLiveMessage(JSON.stringify(message))).toEqual(message);
  });

  it.each([
    '',
    'no json',
    'null',
    '7',
    '{}',
    '{"type":"new"}',
    '{"type":"rule"}',
    '{"type":"sync"}',
    '{"type":"syncs"}',
    '{"type":"hello"}',
  ])('that are not ours are ignored: %s', (text) => {
    expect(parseLiveMessage(text)).toBeNull();
  });
});

describe('the pause before connecting again', () => {
  it('doubles from half a second up to half a minute', () => {
    const pauses = [0, 1, 2, 3, 10, 1000].map((attempt) => reconnectDelay(attempt, 1));
    expect(pauses).toEqual([500, 1000, 2000, 4000, 30_000, 30_000]);
  });

  it('is never shorter than half of it', () => {
    expect([0, 3, 99].map((attempt) => reconnectDelay(attempt, 0))).toEqual([250, 2000, 15_000]);
  });
});

describe('the address', () => {
  it('follows the page', () => {
    expect(liveAddress({ protocol: 'https:', host: 'santa.example' }, 1.5)).toBe(
      'wss://santa.example/api/v1/live?ago=1.500',
    );
    expect(liveAddress({ protocol: 'http:', host: '127.0.0.1:8080' }, 0)).toBe(
      'ws://127.0.0.1:8080/api/v1/live?ago=0.000',
    );
  });
});
