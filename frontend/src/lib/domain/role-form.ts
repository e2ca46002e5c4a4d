// The form for custom roles. Pure.
import type { Permission, PermissionInfo, RoleCreate, RoleInfo } from '../api/types.ts';

export interface RoleForm {
  name: string;
  description: string;
  permissions: Permission[];
}

const NAME = /^[A-Za-z0-9][A-Za-z0-9 ._-]*$/;

export function formFromRole(role: RoleInfo | null): RoleForm {
  return {
    name: role?.name ?? '',
    description: role?.description ?? '',
    permissions: role?.permissions ?? [],
  };
}

export function roleFieldLabel(field: string): string {
  return { name: 'Name', description: 'Description', permissions: 'Permissions' }[field] ?? field;
}

export function roleFieldWords(_field: string, value: unknown): string {
  return (Array.isArray(value) ? value.join(', ') : String(value)) || 'none';
}

export function roleErrors(form: RoleForm): Partial<Record<keyof RoleForm, string>> {
  const errors: Partial<Record<keyof RoleForm, string>> = {};
  if (!NAME.test(form.name))
    errors.name = 'Letters, digits, spaces, dots, hyphens and underscores.';
  if (form.permissions.length === 0) errors.permissions = 'Choose at least one.';
  return errors;
}

export function toRole(form: RoleForm): RoleCreate {
  return { name: form.name.trim(), description: form.description, permissions: form.permissions };
}

/** The permissions to choose from: those that one has, and those that the role has already. */
export function permissionOptions(
  all: readonly PermissionInfo[],
  own: (permission: Permission) => boolean,
  chosen: readonly Permission[],
): { value: Permission; label: string; detail: string }[] {
  return all
    .filter(({ name }) => own(name) || chosen.includes(name))
    .map(({ name, meaning, tag_scoped }) => ({
      value: name,
      label: name,
      detail: tag_scoped ? meaning : `${meaning} (not for a tag)`,
    }));
}
