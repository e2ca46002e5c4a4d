// The forms for users and service accounts: initial values, validation, requests. Pure.
import type { RoleGrant, UserAccount, UserCreate, UserUpdate } from '../api/types.ts';
import { passwordTooShort } from './new-password.ts';
import { roleName } from './roles.ts';

/** How a new user gets in: with a link, or with a password that someone tells them. */
export type Entry = 'link' | 'password';

/** Field names are those of the API, so that errors of the server are matched by name. */
export interface PersonForm {
  username: string;
  display_name: string;
  kind: UserAccount['kind'];
  entry: Entry;
  password: string;
  roles: RoleGrant[];
}

type PersonErrors = Partial<Record<keyof PersonForm, string>>;

export function emptyPersonForm(): PersonForm {
  return {
    username: '',
    display_name: '',
    kind: 'person',
    entry: 'link',
    password: '',
    roles: [{ role: 'viewer', tag: null }],
  };
}

export function personErrors(form: PersonForm): PersonErrors {
  const errors: PersonErrors = {};
  if (form.username.trim() === '') errors.username = 'Enter a user name.';
  const short = hasPassword(form) && passwordTooShort(form.password);
  if (short) errors.password = short;
  return errors;
}

export function hasPassword(form: Pick<PersonForm, 'kind' | 'entry'>): boolean {
  return form.kind === 'person' && form.entry === 'password';
}

export function toUserCreate(form: PersonForm): UserCreate {
  return {
    username: form.username,
    display_name: form.display_name,
    kind: form.kind,
    password: hasPassword(form) ? form.password : null,
    roles: form.roles,
  };
}

/** What can be changed of a user in one form. */
export interface AccountForm {
  display_name: string;
  roles: RoleGrant[];
}

export function formFromAccount(account: UserAccount): AccountForm {
  return { display_name: account.display_name, roles: grantsOf(account.roles) };
}

/** Roles as a request names them. */
export function grantsOf(roles: readonly { role: string; tag: string | null }[]): RoleGrant[] {
  return roles.map(({ role, tag }) => ({ role, tag }));
}

export function toUserUpdate(form: AccountForm, saved: AccountForm): UserUpdate {
  const same = JSON.stringify(form.roles) === JSON.stringify(saved.roles);
  return {
    ...(form.display_name === saved.display_name ? {} : { display_name: form.display_name }),
    ...(same ? {} : { roles: form.roles }),
  };
}

export function accountLabel(field: string): string {
  return field === 'roles' ? 'Roles' : 'Name';
}

export function accountWords(field: string, value: unknown): string {
  if (field !== 'roles' || !Array.isArray(value)) return String(value);
  return (value as RoleGrant[]).map(roleName).join(', ') || 'none';
}
