import { describe, expect, it } from 'vitest';
import { someProgram } from '../testing/samples.ts';
import { certificateContradictions, contradictions, describeClaim } from './claims.ts';

const NONE = { team_id: '', signing_id: '', cdhash: '', certificate_sha256: '', macs: 1 };
const LEAF = { cn: 'Leaf', org: 'Org', ou: '', valid_from: null, valid_until: null, macs: 2 };
const APP = {
  bundle_name: 'App',
  bundle_id: 'com.app',
  bundle_version: '1',
  bundle_hash: '',
  macs: 1,
};

describe('what Macs report about a program', () => {
  it('is no contradiction while they agree', () => {
    expect(contradictions(someProgram())).toEqual([]);
    expect(contradictions(someProgram({ claims: [NONE] }))).toEqual([]);
  });

  it('is a contradiction when they disagree about its signature', () => {
    const program = someProgram({ claims: [NONE, { ...NONE, team_id: 'ZMCG7MLDV9' }] });
    expect(contradictions(program)).toEqual([
      {
        warning: expect.stringContaining('Macs disagree about who signed this program'),
        claims: ['1 Mac: not signed', '1 Mac: team ZMCG7MLDV9'],
      },
    ]);
  });

  it('is a contradiction when they disagree about its certificate', () => {
    const claims = [LEAF, { ...LEAF, cn: '', org: '', macs: 1 }];
    expect(contradictions(someProgram({ certificate_claims: claims }))).toEqual(
      certificateContradictions(claims),
    );
    expect(certificateContradictions(claims)[0]?.claims).toEqual([
      '2 Macs: Leaf, Org',
      '1 Mac: no name',
    ]);
    expect(certificateContradictions([])).toEqual([]);
  });

  it('is a contradiction when they report it in different apps, not in versions of one', () => {
    const versions = [APP, { ...APP, bundle_version: '2' }];
    expect(contradictions(someProgram({ bundle_claims: versions }))).toEqual([]);
    const apps = [
      ...versions,
      { ...APP, bundle_name: 'Safari' },
      { ...APP, bundle_name: '', bundle_id: '' },
    ];
    expect(contradictions(someProgram({ bundle_claims: apps }))[0]?.claims).toEqual([
      'App, com.app',
      'Safari, com.app',
      'no app',
    ]);
  });

  it.each([
    [NONE, '1 Mac: not signed'],
    [{ ...NONE, macs: 0, cdhash: 'ab' }, '0 Macs: CDHash ab'],
    [
      { ...NONE, macs: 20, team_id: 'ZMCG7MLDV9', signing_id: 'ZMCG7MLDV9:santa' },
      '20 or more Macs: team ZMCG7MLDV9, signing ID ZMCG7MLDV9:santa',
    ],
    [{ ...NONE, macs: 3, certificate_sha256: 'c0' }, '3 Macs: certificate c0'],
  ])('is told with how many Macs say so', (claim, words) => {
    expect(describeClaim(claim)).toBe(words);
  });
});
