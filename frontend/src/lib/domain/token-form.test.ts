import { expect, it } from 'vitest';
import {
  emptyScimTokenForm,
  emptyTokenForm,
  overlapEnd,
  scimTokenErrors,
  tokenState,
  toScimTokenCreate,
  toTokenCreate,
  tokenErrors,
  tokenPermissions,
} from './token-form.ts';

const NOW = Date.UTC(2026, 10, 30);

it('asks for a name and a permission', () => {
  expect(Object.keys(tokenErrors(emptyTokenForm()))).toEqual(['name', 'permissions']);
  const form = { ...emptyTokenForm(), name: 'ci', permissions: ['rule:read' as const] };
  expect(tokenErrors(form)).toEqual({});
});

it('sends tags and networks as lists, and when it ends', () => {
  const form = {
    ...emptyTokenForm(),
    name: ' ci ',
    tags: 'lab, My Office,',
    networks: '10.0.0.0/8\n::1',
  };
  expect(toTokenCreate(form, 7, NOW)).toEqual({
    name: 'ci',
    user_id: 7,
    permissions: [],
    tags: ['lab', 'My Office'],
    networks: ['10.0.0.0/8', '::1'],
    expires_at: '2027-02-28T00:00:00.000Z',
  });
  expect(toTokenCreate({ ...form, tags: ' , ' }, null, NOW)).toMatchObject({ tags: null });
});

it('offers nothing that no token may have', () => {
  expect(tokenPermissions(['rule:read', 'user:write', 'session:write'])).toEqual(['rule:read']);
});

it('rotates with an overlap, or without', () => {
  expect(overlapEnd(0, NOW)).toBeNull();
  expect(overlapEnd(24, NOW)).toBe('2026-12-01T00:00:00.000Z');
});

it('makes a SCIM token of a name, networks and an end', () => {
  expect(Object.keys(scimTokenErrors({ ...emptyScimTokenForm(), name: ' ' }))).toEqual(['name']);
  const form = { name: ' Entra ', networks: '10.0.0.0/8, ::1', days: 7 };
  expect(scimTokenErrors(form)).toEqual({});
  expect(toScimTokenCreate(form, NOW)).toEqual({
    name: 'Entra',
    networks: ['10.0.0.0/8', '::1'],
    expires_at: '2026-12-07T00:00:00.000Z',
  });
});

it('tells a token that has expired', () => {
  const at = new Date(NOW).toISOString();
  expect(tokenState({ expires_at: at }, NOW)).toBe('expired');
  expect(tokenState({ expires_at: at }, NOW - 1)).toBe('valid');
  expect(tokenState({ expires_at: at, owner_disabled: true }, NOW - 1)).toBe('owner disabled');
});
