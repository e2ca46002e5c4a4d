// Addresses of the console's pages, checked against the routes that exist.
import { resolve } from '$app/paths';
import { machineSegment } from './domain/paths.ts';
import type {
  ChangeFilters,
  EventFilters,
  FileAccessFilters,
  MachineFilters,
  ProgramFilters,
  RuleFilters,
} from './api/types.ts';

type Query = Readonly<Record<string, string | number | null | undefined>>;

function query(params: Query): '' | `?${string}` {
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(params)) {
    if (value !== null && value !== undefined && value !== '') search.set(name, String(value));
  }
  return search.size === 0 ? '' : `?${search.toString()}`;
}

/** The documentation; its pages are folders, so that santa-proxy finds them. */
export const docsLink = () => '/docs/';
export const overviewLink = () => resolve('/(console)');
export const settingsLink = (layer?: string) => resolve(`/(console)/settings${query({ layer })}`);
export const essentialsLink = () => resolve('/(console)/essentials');
export const enrollmentsLink = () => resolve('/(console)/enrollments');
export const tagsLink = () => resolve('/(console)/tags');
export const tagLink = (id: number) => resolve('/(console)/tags/[id]', { id: String(id) });
export const machineLink = (id: string) =>
  resolve('/(console)/machines/[...id]', { id: machineSegment(id) });
export const machinesLink = (
  filters: Pick<MachineFilters, 'q'> & { show?: 'retired' | 'withheld' } = {},
) => resolve(`/(console)/machines${query(filters)}`);
export const rulesLink = (filters: RuleFilters = {}) =>
  resolve(`/(console)/rules${query(filters)}`);
export const removedRulesLink = () => resolve('/(console)/rules/removed');
export const ruleFilesLink = () => resolve('/(console)/rules/files');
export const eventsLink = (filters: EventFilters & { event?: number } = {}) =>
  resolve(`/(console)/events${query(filters)}`);
export const fileAccessesLink = (filters: FileAccessFilters = {}) =>
  resolve(`/(console)/events/file-accesses${query(filters)}`);
export const peopleLink = () => resolve('/(console)/people');
export const groupsLink = () => resolve('/(console)/people/groups');
export const rolesLink = () => resolve('/(console)/people/roles');
export const accountLink = () => resolve('/(console)/account');
export const changesLink = (filters: ChangeFilters = {}) =>
  resolve(`/(console)/changes${query(filters)}`);
export const changeLink = (seq: number) =>
  resolve('/(console)/changes/[seq]', { seq: String(seq) });
export const auditLink = () => resolve('/(console)/audit');

export const statusLink = () => resolve('/(console)/status');
export const agentAuditsLink = () => resolve('/(console)/events/agents');
export const programsLink = (filters: ProgramFilters = {}) =>
  resolve(`/(console)/programs${query(filters)}`);
export const loginLink = (next: string) => resolve(`/login${query({ next })}`);
/** The login page with the form for local accounts. */
export const localLoginLink = (next: string) => resolve(`/login${query({ next, local: 1 })}`);
