// The log of policy changes, and taking one back.
import { api, unwrap, type CallOptions } from './client.ts';
import type {
  ChangeDetails,
  ChangeFilters,
  ChangeRevert,
  LoggedChange,
  Page,
  Position,
  RevertPlan,
} from './types.ts';

export function listChanges(
  filters: ChangeFilters,
  position: Position,
  options: CallOptions = {},
): Promise<Page<LoggedChange>> {
  const params = { query: { ...filters, ...position } };
  return unwrap(api.GET('/api/v1/changes', { params, ...options }));
}

/** What a change did; of its rules a page. */
export function readChange(
  seq: number,
  position: Position,
  options: CallOptions = {},
): Promise<ChangeDetails> {
  const params = { path: { seq }, query: position };
  return unwrap(api.GET('/api/v1/changes/{seq}', { params, ...options }));
}

/** What taking a change back would do now. */
export function planRevert(seq: number): Promise<RevertPlan> {
  return revertChange(seq, { dry_run: true });
}

/** Takes a change back by a new one, unless it is a dry run. */
export function revertChange(seq: number, wanted: Partial<ChangeRevert>): Promise<RevertPlan> {
  const body = {
    reason: '',
    dry_run: false,
    skip_conflicts: false,
    override_guard: false,
    ...wanted,
  };
  return unwrap(api.POST('/api/v1/changes/{seq}/revert', { params: { path: { seq } }, body }));
}
