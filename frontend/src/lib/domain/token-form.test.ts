import { expect, it } from 'vitest';
import {
  emptyTokenForm,
  overlapEnd,
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
