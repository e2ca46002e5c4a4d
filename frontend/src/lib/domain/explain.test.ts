import { describe, expect, it } from 'vitest';
import type { Explanation } from '../api/types.ts';
import { SHA256 } from '../testing/samples.ts';
import { standing, verdict } from './explain.ts';

const explanation: Explanation = {
  machine_id: 'M-1',
  seq: 7,
  confirmed: true,
  layers: ['global'],
  targets: [
    { rule_type: 'CDHASH', identifier: 'a'.repeat(40), policy: null, candidates: [] },
    { rule_type: 'BINARY', identifier: SHA256, policy: 'BLOCKLIST', candidates: [] },
  ],
  decided_by: 'BINARY',
};

describe('an explanation', () => {
  it('says which rule decides', () => {
    expect(verdict(explanation)).toMatch(/^Block, by its Binary rule\. The program is stopped/);
  });

  it('says that nothing decides', () => {
    expect(verdict({ ...explanation, decided_by: null })).toContain('the mode of the Mac');
  });

  it('says whether the Mac follows it', () => {
    expect(standing(explanation)).toContain('has confirmed');
    expect(standing({ ...explanation, confirmed: false })).toContain('next sync');
  });
});
