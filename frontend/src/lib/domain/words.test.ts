import { describe, expect, it } from 'vitest';
import { sentence } from '../components/machines/sync-words.ts';
import { someMachine } from '../testing/samples.ts';
import { describeDecision } from './decisions.ts';
import { clientMode, machineName } from './machines.ts';

describe('decisions', () => {
  it.each([
    ['BLOCK_TEAMID', 'Blocked', 'danger', 'developer team'],
    ['ALLOW_CDHASH', 'Allowed', 'ok', 'signed build'],
    ['ALLOW_UNKNOWN', 'Unknown, allowed', 'warn', 'Monitor mode'],
    ['BLOCK_UNKNOWN', 'Blocked', 'danger', 'no rule matched'],
    ['BUNDLE_BINARY', 'In a bundle', 'neutral', 'not run'],
    ['ALLOW_SOMETHING_NEW', 'Allowed', 'ok', 'SOMETHING_NEW'],
    ['NOVEL', 'NOVEL', 'neutral', 'NOVEL'],
  ])('explains %s', (decision, label, tone, words) => {
    const text = describeDecision(decision);
    expect(text).toMatchObject({ label, tone });
    expect(text.reason).toContain(words);
  });
});

describe('machines', () => {
  it('are called by host name, else serial number, else id', () => {
    expect(machineName(someMachine())).toBe('lab-mac');
    expect(machineName(someMachine({ hostname: '' }))).toBe('C02XY');
    expect(machineName(someMachine({ hostname: '', serial: '' }))).toBe('M-1');
  });

  it('may report no mode, or one of a newer Santa', () => {
    expect(clientMode('').label).toBe('Unknown');
    expect(clientMode('FORTRESS').label).toBe('FORTRESS');
  });

  it('have reasons that read as a sentence', () => {
    expect(sentence('client_requested')).toBe('Client requested');
  });
});
