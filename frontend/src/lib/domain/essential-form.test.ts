import { describe, expect, it } from 'vitest';
import {
  emptyEssentialForm,
  essentialFieldLabel,
  essentialFieldWords,
  essentialErrors,
  formFromEssential,
  toEssential,
} from './essential-form.ts';

const VPN = {
  name: ' GlobalProtect ',
  use: 'VPN',
  rule_type: 'SIGNINGID',
  identifiers: 'pxpz95sk77:com.example.vpn\n\n PXPZ95SK77:com.example.helper ',
  paths: '/Applications/VPN.app\n',
} as const;

describe('the form of an essential', () => {
  it('is sent with one identifier and path for each line', () => {
    expect(essentialErrors(VPN)).toEqual({});
    expect(toEssential(VPN)).toEqual({
      name: 'GlobalProtect',
      use: 'VPN',
      rule_type: 'SIGNINGID',
      identifiers: ['PXPZ95SK77:com.example.vpn', 'PXPZ95SK77:com.example.helper'],
      paths: ['/Applications/VPN.app'],
    });
  });

  it('begins with what is stored', () => {
    const times = { created_at: '', created_by: null, changed_at: '', etag: '"1"' };
    const stored = { id: 1, ...toEssential(VPN), paths: [], use: '', ...times };
    expect(toEssential(formFromEssential(stored))).toMatchObject({
      identifiers: stored.identifiers,
      paths: [],
    });
  });

  it('names fields and values for a comparison', () => {
    expect(essentialFieldLabel('rule_type')).toBe('Type');
    expect(essentialFieldWords('rule_type', 'TEAMID')).toBe('Team ID');
    expect(essentialFieldWords('paths', '/a\n/b\n')).toBe('/a, /b');
    expect(essentialFieldWords('use', '')).toBe('–');
  });

  it('names what is wrong', () => {
    expect(essentialErrors(emptyEssentialForm())).toEqual({
      name: 'Enter a name.',
      identifiers: 'Enter at least one.',
    });
    const wrong = essentialErrors({ ...VPN, identifiers: 'nothing', paths: 'Applications' });
    expect(Object.keys(wrong)).toEqual(['identifiers', 'paths']);
  });
});
