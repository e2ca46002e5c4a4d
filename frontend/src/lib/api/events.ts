// What machines reported: executions, file accesses, the agent's own actions, and the programs behind them.
import { api, unwrap, type CallOptions } from './client.ts';
import type {
  AgentAudit,
  EventFilters,
  ExecEvent,
  FileAccess,
  FileAccessFilters,
  Page,
  Position,
  Program,
  ProgramFilters,
} from './types.ts';

export function listEvents(
  filters: EventFilters,
  position: Position,
  options: CallOptions = {},
): Promise<Page<ExecEvent>> {
  const params = { query: { ...filters, ...position } };
  return unwrap(api.GET('/api/v1/events', { params, ...options }));
}

export function readEvent(id: ExecEvent['id'], options: CallOptions = {}): Promise<ExecEvent> {
  const params = { path: { event_id: id } };
  return unwrap(api.GET('/api/v1/events/{event_id}', { params, ...options }));
}

export function listFileAccesses(
  filters: FileAccessFilters,
  position: Position,
  options: CallOptions = {},
): Promise<Page<FileAccess>> {
  const params = { query: { ...filters, ...position } };
  return unwrap(api.GET('/api/v1/file-accesses', { params, ...options }));
}

export function listAgentAudits(
  filters: { machine_id?: string | undefined },
  position: Position,
  options: CallOptions = {},
): Promise<Page<AgentAudit>> {
  const params = { query: { ...filters, ...position } };
  return unwrap(api.GET('/api/v1/agent-audits', { params, ...options }));
}

/** The catalog of programs, those seen last first. */
export function listPrograms(
  filters: ProgramFilters,
  position: Position,
  options: CallOptions = {},
): Promise<Page<Program>> {
  const params = { query: { ...filters, ...position } };
  return unwrap(api.GET('/api/v1/programs', { params, ...options }));
}
