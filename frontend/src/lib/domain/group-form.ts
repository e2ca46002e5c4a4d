// The form for groups: initial values, validation, requests. Pure.
import type { Group, GroupCreate, GroupUpdate, RoleGrant } from '../api/types.ts';
import { accountWords, grantsOf } from './person-form.ts';

/** Field names are those of the API, so that errors of the server are matched by name. */
export interface GroupForm {
  source: Group['source'];
  name: string;
  external_id: string;
  description: string;
  roles: RoleGrant[];
}

type GroupErrors = Partial<Record<keyof GroupForm, string>>;

export const SOURCES: Readonly<Record<Group['source'], { label: string; help: string }>> = {
  local: { label: 'Local group', help: 'You add its members here.' },
  claim: { label: 'Group of the identity provider', help: 'By its id in the tokens of a sign-in.' },
  app_role: { label: 'App role', help: 'By its value in the tokens of a sign-in.' },
  scim: { label: 'SCIM group', help: 'Kept by the identity provider.' },
};

export function emptyGroupForm(): GroupForm {
  return { source: 'local', name: '', external_id: '', description: '', roles: [] };
}

export function formFromGroup(group: Group): GroupForm {
  return {
    source: group.source,
    name: group.name,
    external_id: group.external_id ?? '',
    description: group.description,
    roles: grantsOf(group.roles),
  };
}

/** Whether the group is known by an id at the identity provider that is entered here. */
export function hasExternalId(form: Pick<GroupForm, 'source'>): boolean {
  return form.source === 'claim' || form.source === 'app_role';
}

const LABELS: Readonly<Record<string, string>> = {
  name: 'Name',
  external_id: 'Id at the identity provider',
  description: 'Description',
  roles: 'Roles',
};

export function groupFieldLabel(field: string): string {
  return LABELS[field] ?? field;
}

export function groupFieldWords(field: string, value: unknown): string {
  return accountWords(field, value) || 'none';
}

export function groupErrors(form: GroupForm): GroupErrors {
  const errors: GroupErrors = {};
  if (form.name.trim() === '') errors.name = 'Enter a name.';
  if (hasExternalId(form) && form.external_id.trim() === '')
    errors.external_id = 'Enter what the identity provider calls it.';
  return errors;
}

export function toGroupCreate(form: GroupForm): GroupCreate {
  const { source, name, description, roles } = form;
  const external_id = hasExternalId(form) ? form.external_id.trim() : null;
  return { source: source as GroupCreate['source'], name, description, roles, external_id };
}

/** What was changed; what SCIM keeps is never sent. */
export function toGroupUpdate(form: GroupForm, saved: GroupForm): GroupUpdate {
  const update: GroupUpdate = {};
  if (form.name !== saved.name) update.name = form.name;
  if (hasExternalId(form) && form.external_id !== saved.external_id)
    update.external_id = form.external_id.trim();
  if (form.description !== saved.description) update.description = form.description;
  if (JSON.stringify(form.roles) !== JSON.stringify(saved.roles)) update.roles = form.roles;
  return update;
}
