// Executions that machines reported.
import { api, unwrap, type CallOptions } from './client.ts';
import type { EventFilters, ExecEvent, Page, Position } from './types.ts';

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
