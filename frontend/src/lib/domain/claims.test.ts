import { describe, expect, it } from 'vitest';
import { describeClaim, disagreement } from './claims.ts';

const NONE = { team_id: '', signing_id: '', cdhash: '', certificate_sha256: '', macs: 1 };

describe('what Macs say of a signature', () => {
  it('is worth a word when they disagree', () => {
    expect(disagreement({ claims: [] })).toBe('');
    expect(disagreement({ claims: [NONE] })).toBe('');
    expect(disagreement({ claims: [NONE, { ...NONE, team_id: 'ZMCG7MLDV9' }] })).toContain(
      'Macs disagree about who signed this program',
    );
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
