import { expect, it } from 'vitest';
import { NAVIGATION, isCurrent, pagesOf } from './navigation.ts';

const labels = (user: Parameters<typeof pagesOf>[0]) => pagesOf(user).map((entry) => entry.label);

it('shows only the pages that the permissions include', () => {
  expect(labels({ permissions: [], scopes: {} })).toEqual([]);
  expect(labels({ permissions: ['program:read'], scopes: {} })).toEqual(['Programs']);
  const permissions = NAVIGATION.map((entry) => entry.needs);
  expect(pagesOf({ permissions, scopes: {} })).toEqual(NAVIGATION);
});

it('shows a page of which only some tags may be seen', () => {
  const scopes = { 'machine:read': ['lab'], 'rule:write': ['lab'] };
  expect(labels({ permissions: ['machine:read', 'rule:write'], scopes })).toEqual(['Machines']);
});

it('marks the entry of the page that is open, and of those below it', () => {
  expect(isCurrent({ href: '/' }, '/')).toBe(true);
  expect(isCurrent({ href: '/' }, '/rules')).toBe(false);
  expect(isCurrent({ href: '/rules' }, '/rules/files')).toBe(true);
  expect(isCurrent({ href: '/rules' }, '/rulesets')).toBe(false);
});
