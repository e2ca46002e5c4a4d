// What in the state of the server needs attention. Pure; the limits are those of docker/monitoring/alerts.yaml.
import type { ServerStatus } from '../api/types.ts';
import { bytes, count, plural, seconds } from './format.ts';
import { serviceFindings } from './services.ts';

export interface Finding {
  tone: 'warn' | 'danger';
  text: string;
}

const CONNECTIONS_IN_USE = 0.85;
const LONG_TRANSACTION = 600;
const SCHEDULE_LATE = 120;
const CHECKPOINT_OLD = 2 * 3600;
const LITTLE_ROOM = 0.1;
/** Data is removed by whole days, each hour. */
const KEPT_TOO_LONG = 2;
const DAY = 24 * 3600;

export const POOLS: Record<string, string> = {
  syncs: 'Syncs',
  events: 'Events of Macs',
  rest: 'Console and API',
  preparations: 'Large changes of rules',
  health: 'Health checks',
};

export const QUEUES: Record<string, string> = {
  syncs: 'Syncs',
  events: 'Uploads of events',
  syncs_without_rules: 'Syncs that wait for new rules',
  exports: 'Exports',
  imports: 'Imports',
  logins: 'Logins',
};

export const KINDS: Record<string, string> = {
  events: 'Executions',
  file_accesses: 'File accesses',
  agent_audits: 'Agents',
  event_counts: 'Counts of events',
};

/** What to look at, the worst first. */
export function findings(status: ServerStatus): Finding[] {
  const now = Date.parse(status.at) / 1000;
  const since = (iso: string | null) => (iso ? now - Date.parse(iso) / 1000 : null);
  const found = [
    ...serviceFindings(status.processes),
    ...databaseFindings(status),
    ...workFindings(status, since),
  ];
  return found.sort(
    (one, other) => Number(other.tone === 'danger') - Number(one.tone === 'danger'),
  );
}

function databaseFindings({ database }: ServerStatus): Finding[] {
  const found: Finding[] = [];
  if (database.schema_version < database.expected_schema_version)
    found.push({
      tone: 'danger',
      text: 'The database’s schema is older than this program: restart the container, which migrates it.',
    });
  if (database.connections > CONNECTIONS_IN_USE * database.max_connections)
    found.push({
      tone: 'warn',
      text: `PostgreSQL has ${count(database.connections)} of ${count(database.max_connections)} connections in use.`,
    });
  if (database.oldest_transaction > LONG_TRANSACTION)
    found.push({
      tone: 'warn',
      text: `A transaction has been open for ${seconds(Math.round(database.oldest_transaction))}.`,
    });
  return found;
}

function workFindings(
  { worker, schedule, audit, kept }: ServerStatus,
  since: (iso: string | null) => number | null,
): Finding[] {
  const found: Finding[] = [];
  const late = since(schedule.next_change_at) ?? 0;
  if (late > SCHEDULE_LATE)
    found.push({
      tone: 'danger',
      text: 'A scheduled change of rules is late; the server’s log says why.',
    });
  if ((since(audit.checkpoint_at) ?? 0) > CHECKPOINT_OLD)
    found.push({
      tone: 'warn',
      text: 'The last checkpoint of the audit log is more than two hours old.',
    });
  for (const { name, waiting } of worker.pools)
    if (waiting > 0)
      found.push({
        tone: 'warn',
        text: `${plural(waiting, 'request waits', 'requests wait')} for a connection (${POOLS[name] ?? name}).`,
      });
  if (worker.temporary_free < LITTLE_ROOM * worker.temporary_size)
    found.push({
      tone: 'warn',
      text: `Only ${bytes(worker.temporary_free)} are free for temporary files.`,
    });
  for (const { kind, oldest_at, days } of kept)
    if ((since(oldest_at) ?? 0) > (days + KEPT_TOO_LONG) * DAY)
      found.push({
        tone: 'warn',
        text: `${KINDS[kind] ?? kind} are kept for ${plural(days, 'day')}, but older ones are still there.`,
      });
  return found;
}
