// The audit log: entries, export, checkpoints.
import { api, unwrap, type CallOptions } from './client.ts';
import type { AuditCheckpoint, AuditedAct, AuditFilters, Page, Position } from './types.ts';

export function listAudit(
  filters: AuditFilters,
  position: Position,
  options: CallOptions = {},
): Promise<Page<AuditedAct>> {
  const params = { query: { ...filters, ...position } };
  return unwrap(api.GET('/api/v1/audit', { params, ...options }));
}

/** The whole log as lines of JSON, for `audit verify`. */
export function exportAudit(): Promise<Blob> {
  return unwrap(
    api.GET('/api/v1/audit/export', { parseAs: 'blob' }) as Promise<{
      data?: Blob;
      error?: unknown;
      response: Response;
    }>,
  );
}

export function makeCheckpoint(): Promise<AuditCheckpoint> {
  return unwrap(api.POST('/api/v1/audit/checkpoint'));
}
