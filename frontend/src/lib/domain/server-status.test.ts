import { describe, expect, it } from 'vitest';
import type { ServerStatus } from '../api/types.ts';
import { someStatus } from '../testing/server-status.ts';
import { findings } from './server-status.ts';

const texts = (part: Partial<ServerStatus>) => findings(someStatus(part)).map(({ text }) => text);
const usual = someStatus();

describe('what needs attention', () => {
  it('is nothing on a healthy server', () => {
    expect(findings(usual)).toEqual([]);
  });

  it.each([
    ['schema', { database: { ...usual.database, schema_version: 0 } }, 'older than this program'],
    ['connections', { database: { ...usual.database, connections: 90 } }, '90 of 100 connections'],
    ['transaction', { database: { ...usual.database, oldest_transaction: 1800 } }, '30 min'],
    [
      'schedule',
      { schedule: { ...usual.schedule, next_change_at: '2026-11-30T11:50:00Z' } },
      'scheduled change of rules is late',
    ],
    [
      'checkpoint',
      { audit: { ...usual.audit, checkpoint_at: '2026-11-30T09:00:00Z' } },
      'two hours',
    ],
    ['room', { worker: { ...usual.worker, temporary_free: 1024 } }, 'Only 1 kB'],
    [
      'old data',
      { kept: [{ kind: 'events', oldest_at: '2026-08-01T00:00:00Z', days: 90 }] },
      'Executions are kept for 90 days',
    ],
    [
      'waiting',
      {
        worker: {
          ...usual.worker,
          pools: usual.worker.pools.map((pool) => ({ ...pool, waiting: 3 })),
        },
      },
      '3 requests wait for a connection (Syncs)',
    ],
  ])('is found: %s', (_, part, text) => {
    const found = texts(part);
    expect(found).toHaveLength(1);
    expect(found[0]).toContain(text);
  });

  it('shows the worst first', () => {
    const found = findings(
      someStatus({
        database: { ...usual.database, connections: 99 },
        schedule: { ...usual.schedule, next_change_at: '2026-11-30T11:00:00Z' },
      }),
    );
    expect(found.map(({ tone }) => tone)).toEqual(['danger', 'warn']);
  });

  it('does not mind a change that lies ahead, or a log without a checkpoint', () => {
    const schedule = { ...usual.schedule, next_change_at: '2026-12-01T12:00:00Z' };
    expect(texts({ schedule, audit: { ...usual.audit, checkpoint_at: null } })).toEqual([]);
  });
});
