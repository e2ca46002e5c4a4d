// Macs that sync with this server.
import { api, ifMatch, unwrap, type CallOptions } from './client.ts';
import type {
  CleanSyncKind,
  FleetAction,
  FleetResult,
  Machine,
  MachineDetail,
  MachineFilters,
  MachinePolicyThen,
  MachineTag,
  Page,
  Position,
} from './types.ts';

export function listMachines(
  filters: MachineFilters,
  position: Position,
  options: CallOptions = {},
): Promise<Page<Machine>> {
  const params = { query: { ...filters, ...position } };
  return unwrap(api.GET('/api/v1/machines', { params, ...options }));
}

/** How many machines a filter matches. */
export async function countMachines(filters: MachineFilters): Promise<number> {
  const params = { query: filters };
  return (await unwrap(api.GET('/api/v1/machines/count', { params }))).count;
}

/** Does something with all machines that a filter matches, if they are still `count`. */
export function orderForMany(
  action: FleetAction,
  filters: MachineFilters,
  count: number,
  reason: string,
): Promise<FleetResult> {
  const { q = '', retired = false, withheld = false } = filters;
  const filter = { q, retired, withheld };
  return unwrap(api.POST('/api/v1/machines/actions', { body: { action, filter, count, reason } }));
}

/** Does something with one machine. */
export async function orderForOne(action: FleetAction, id: string, reason: string): Promise<void> {
  const body = { action, machine_ids: [id], reason };
  await unwrap(api.POST('/api/v1/machines/actions', { body }));
}

export function readMachine(id: string, options: CallOptions = {}): Promise<MachineDetail> {
  const params = { path: { machine_id: id } };
  return unwrap(api.GET('/api/v1/machines/{machine_id}', { params, ...options }));
}

/** Orders a clean sync at the machine's next contact; `clean_all` also drops the rules the Mac made itself. */
export async function requestCleanSync(id: string, kind: CleanSyncKind): Promise<void> {
  const params = { path: { machine_id: id } };
  await unwrap(api.POST('/api/v1/machines/{machine_id}/clean-sync', { params, body: { kind } }));
}

/** The machine's tags with the reasons for each, the highest first. */
export function listMachineTags(id: string, options: CallOptions = {}): Promise<MachineTag[]> {
  const params = { path: { machine_id: id } };
  return unwrap(api.GET('/api/v1/machines/{machine_id}/tags', { params, ...options }));
}

/** What the machine was to have at a moment, and what it had confirmed; its rules come page by page. */
export function readPolicyAt(
  id: string,
  at: string,
  position: Position,
  options: CallOptions = {},
): Promise<MachinePolicyThen> {
  const params = { path: { machine_id: id }, query: { at, ...position } };
  return unwrap(api.GET('/api/v1/machines/{machine_id}/policy', { params, ...options }));
}

type MachineVersion = Pick<Machine, 'machine_id' | 'etag'>;

/** Starts monitor mode from the machine's next sync on. */
export function startMonitorMode(
  machine: MachineVersion,
  minutes: number,
  reason: string,
): Promise<MachineDetail> {
  const params = { path: { machine_id: machine.machine_id }, header: ifMatch(machine) };
  const body = { minutes, reason };
  return unwrap(api.POST('/api/v1/machines/{machine_id}/monitor-mode', { params, body }));
}

export function endMonitorMode(machine: MachineVersion): Promise<MachineDetail> {
  const params = { path: { machine_id: machine.machine_id }, header: ifMatch(machine) };
  return unwrap(api.DELETE('/api/v1/machines/{machine_id}/monitor-mode', { params }));
}
