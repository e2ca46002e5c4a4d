// Roles in words. Pure.
import type { RoleGrant } from '../api/types.ts';

/** Every role, the strongest first, with what it is for. */
export const ROLES: readonly { value: RoleGrant['role']; label: string; help: string }[] = [
  { value: 'admin', label: 'Administrator', help: 'may do everything' },
  { value: 'operator', label: 'Operator', help: 'runs the fleet' },
  { value: 'approver', label: 'Approver', help: 'sees everything and changes rules' },
  { value: 'auditor', label: 'Auditor', help: 'sees everything, users and the audit log too' },
  { value: 'viewer', label: 'Viewer', help: 'sees policy, Macs and events' },
  { value: 'requester', label: 'Requester', help: 'looks up programs' },
];

/** A role and where it holds, such as "Operator for lab". */
export function roleName(grant: { role: string; tag?: string | null }): string {
  const label = ROLES.find(({ value }) => value === grant.role)?.label ?? grant.role;
  return grant.tag ? `${label} for ${grant.tag}` : label;
}
