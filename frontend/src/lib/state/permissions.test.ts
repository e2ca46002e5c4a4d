import { describe, expect, it } from 'vitest';
import type { User } from '../api/types.ts';
import { may, mayEverywhere, mayWithTags, roleTitle } from './permissions.ts';

const user: Pick<User, 'permissions' | 'scopes'> = {
  permissions: ['rule:read', 'rule:write'],
  scopes: { 'rule:write': ['lab'] },
};

describe('permissions', () => {
  it('distinguishes what is held everywhere from what is held for some tags', () => {
    expect([may(user, 'rule:read'), mayEverywhere(user, 'rule:read')]).toEqual([true, true]);
    expect([may(user, 'rule:write'), mayEverywhere(user, 'rule:write')]).toEqual([true, false]);
    expect([may(user, 'tag:write'), mayEverywhere(user, 'tag:write')]).toEqual([false, false]);
  });

  it('reaches what has one of the tags, however they are written', () => {
    expect(mayWithTags(user, 'rule:read', [])).toBe(true);
    expect(mayWithTags(user, 'rule:write', ['office', 'LAB'])).toBe(true);
    expect(mayWithTags(user, 'rule:write', ['office'])).toBe(false);
    expect(mayWithTags(user, 'rule:write', [])).toBe(false);
    expect(mayWithTags(user, 'tag:write', ['lab'])).toBe(false);
  });

  it('names the strongest role', () => {
    const lab = { role: 'operator', tag: 'lab' };
    const everywhere = { role: 'operator', tag: null };
    expect(roleTitle({ role: null, roles: [] })).toBe('No role');
    expect(roleTitle({ role: 'operator', roles: [lab] })).toBe('Operator for lab');
    expect(roleTitle({ role: 'operator', roles: [lab, everywhere] })).toBe('Operator');
    expect(roleTitle({ role: 'admin', roles: [{ role: 'admin', tag: null }, lab] })).toBe(
      'Administrator',
    );
  });
});
