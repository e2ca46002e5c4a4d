// The state of a healthy server, for tests.
import type { ServerStatus } from '../api/types.ts';

type Processes = ServerStatus['processes'];

export function someService(
  part: Partial<Processes['services'][number]> = {},
): Processes['services'][number] {
  return {
    name: 'backend',
    instance: 0,
    kind: 'daemon',
    state: 'ready',
    why: 'its socket takes connections',
    status_text: null,
    pid: 41,
    restarts: 0,
    since: '2026-11-30T08:00:00Z',
    last_exit: null,
    critical: true,
    ...part,
  };
}

export function someProcesses(part: Partial<Processes> = {}): Processes {
  return {
    source: 'supervisor',
    problem: null,
    supervisor: {
      version: '0.1.0',
      started_at: '2026-11-30T08:00:00Z',
      shutting_down: false,
      orphans_reaped: 0,
      dropped_lines: 0,
    },
    services: [someService()],
    ...part,
  };
}

export function someStatus(part: Partial<ServerStatus> = {}): ServerStatus {
  return {
    at: '2026-11-30T12:00:00Z',
    version: '0.1.0',
    processes: someProcesses(),
    database: {
      version: '17.2',
      size: 48_000_000,
      connections: 12,
      max_connections: 100,
      oldest_transaction: 0.2,
      schema_version: 1,
      expected_schema_version: 1,
    },
    worker: {
      workers: 1,
      started_at: '2026-11-30T08:00:00Z',
      pools: [{ name: 'syncs', size: 10, used: 1, idle: 3, waiting: 0, refused: 0 }],
      queues: [{ name: 'syncs', waiting: 0, refused: 0 }],
      cache_used: 4_000_000,
      cache_limit: 64 * 2 ** 20,
      live_connections: 2,
      temporary_free: 60_000_000,
      temporary_size: 64_000_000,
    },
    schedule: { policy_number: 41, next_change_at: null, uncounted_events: 0 },
    audit: {
      entries: 120,
      checkpoint_at: '2026-11-30T11:30:00Z',
      checkpoint_size: 118,
      signed: true,
      sent: true,
    },
    kept: [{ kind: 'events', oldest_at: '2026-11-01T00:00:00Z', days: 90 }],
    ...part,
  };
}
