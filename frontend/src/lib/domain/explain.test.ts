import { describe, expect, it } from 'vitest';
import type { Explanation } from '../api/types.ts';
import { SHA256 } from '../testing/samples.ts';
import { OUTCOMES, confirmation, verdict } from './explain.ts';

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
  client_mode: 'LOCKDOWN',
  mode_layer: 'tag:finance',
  monitored: false,
};

describe('an explanation', () => {
  it('says which rule decides', () => {
    expect(verdict(explanation)).toMatch(/^Block, by its Binary rule\. The program is blocked/);
  });

  it.each([
    [{}, /^Blocked because of Lockdown \(layer: Tag finance\)/],
    [{ mode_layer: 'global' }, /^Blocked because of Lockdown \(layer: Every machine\)/],
    [{ client_mode: 'STANDALONE' as const }, /^Blocked because of Standalone .*user approves/],
    [
      { client_mode: 'MONITOR' as const, mode_layer: null, monitored: true },
      /^Allowed because of Monitor \(temporary Monitor mode\)/,
    ],
  ])('names the mode when no rule decides %#', (parts, words) => {
    expect(verdict({ ...explanation, ...parts, decided_by: null })).toMatch(words);
  });

  it('never calls a rule used that Santa does not reach', () => {
    expect(OUTCOMES.outranked.label).not.toBe(OUTCOMES.wins.label);
  });

  it('says whether the Mac follows it', () => {
    expect(confirmation(explanation)).toContain('has confirmed');
    expect(confirmation({ ...explanation, confirmed: false })).toContain('next sync');
  });
});
