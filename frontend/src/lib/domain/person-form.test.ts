import { expect, it } from 'vitest';
import {
  accountWords,
  emptyPersonForm,
  personErrors,
  toUserCreate,
  toUserUpdate,
} from './person-form.ts';

const ADA = { ...emptyPersonForm(), username: 'ada' };

it('needs a name, and a password only for a person who gets one', () => {
  expect(personErrors(emptyPersonForm())).toHaveProperty('username');
  expect(personErrors(ADA)).toEqual({});
  expect(personErrors({ ...ADA, entry: 'password' })).toHaveProperty('password');
  expect(personErrors({ ...ADA, entry: 'password', kind: 'service' })).toEqual({});
});

it('sends a password only when it is one', () => {
  const typed = { ...ADA, password: 'left over from before' };
  expect(toUserCreate(typed).password).toBeNull();
  expect(toUserCreate({ ...typed, entry: 'password' }).password).toBe('left over from before');
  expect(toUserCreate({ ...typed, entry: 'password', kind: 'service' }).password).toBeNull();
});

it('changes only what differs', () => {
  const saved = { display_name: 'Ada', roles: [{ role: 'viewer' as const, tag: null }] };
  expect(toUserUpdate(saved, saved)).toEqual({});
  expect(toUserUpdate({ ...saved, display_name: 'A' }, saved)).toEqual({ display_name: 'A' });
  expect(toUserUpdate({ ...saved, roles: [] }, saved)).toEqual({ roles: [] });
});

it('names roles and where they hold', () => {
  const roles = [
    { role: 'operator', tag: 'lab' },
    { role: 'viewer', tag: null },
    { role: 'future' },
  ];
  expect(accountWords('roles', roles)).toBe('Operator for lab, Viewer, future');
  expect(accountWords('roles', [])).toBe('none');
});
