import { describe, expect, it } from 'vitest';
import { formFromRole, permissionOptions, roleErrors, toRole } from './role-form.ts';

const ALL = [
  { name: 'rule:read', meaning: 'See rules', tag_scoped: true },
  { name: 'user:write', meaning: 'Change users', tag_scoped: false },
] as const;

describe('custom roles', () => {
  it('have a name of plain letters and at least one permission', () => {
    expect(Object.keys(roleErrors(formFromRole(null)))).toEqual(['name', 'permissions']);
    const odd = { name: '\u0430dmin', description: '', permissions: ['rule:read' as const] };
    expect(Object.keys(roleErrors(odd))).toEqual(['name']);
    expect(roleErrors({ ...odd, name: 'Help desk' })).toEqual({});
    expect(toRole({ ...odd, name: 'Desk ' }).name).toBe('Desk');
  });

  it('offer what one has oneself, and what the role has', () => {
    const own = (name: string) => name === 'rule:read';
    expect(permissionOptions(ALL, own, []).map(({ value }) => value)).toEqual(['rule:read']);
    const both = permissionOptions(ALL, own, ['user:write']);
    expect(both[1]?.detail).toBe('Change users (not for a tag)');
  });
});
