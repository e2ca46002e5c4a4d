// Roles in words. Pure.
import type { PermissionReason, RoleGrant, RoleInfo } from '../api/types.ts';

/** A role to choose. */
export interface RoleChoice {
  value: RoleGrant['role'];
  label: string;
  help: string;
}

/** The roles that come with the program, the strongest first, with what each is for. */
export const ROLES: readonly RoleChoice[] = [
  { value: 'admin', label: 'Administrator', help: 'may do everything' },
  { value: 'operator', label: 'Operator', help: 'runs the fleet' },
  { value: 'approver', label: 'Approver', help: 'sees everything and changes rules' },
  { value: 'auditor', label: 'Auditor', help: 'sees everything, users and the audit log too' },
  { value: 'viewer', label: 'Viewer', help: 'sees policy, Macs and events' },
  { value: 'requester', label: 'Requester', help: 'looks up programs' },
];

/** Roles to choose from: those of the program, then those made here. */
export function roleChoices(roles: readonly RoleInfo[]): RoleChoice[] {
  const custom = roles.filter(({ id }) => id !== null);
  return [
    ...ROLES,
    ...custom.map(({ name, description }) => ({ value: name, label: name, help: description })),
  ];
}

/** Where a role comes from that grants a permission. */
export function reasonWords(reason: PermissionReason): string {
  const role = roleName(reason);
  if (reason.through === 'group') return `${role}, through the group ${reason.group ?? ''}`;
  return reason.through === 'provider' ? `${role}, from the identity provider` : role;
}

/** A role and where it holds, such as "Operator for lab". */
export function roleName(grant: { role: string; tag?: string | null }): string {
  const label = ROLES.find(({ value }) => value === grant.role)?.label ?? grant.role;
  return grant.tag ? `${label} for ${grant.tag}` : label;
}
