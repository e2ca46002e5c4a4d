import { describe, expect, it } from 'vitest';
import {
  actionsFor,
  actionsForMany,
  credentialWords,
  questionFor,
  resultOf,
  stepWords,
} from './fleet.ts';

const NOW = '2026-11-30T09:00:00Z';

describe('actions', () => {
  it('fit the state of a machine', () => {
    expect(actionsFor({ retired_at: null, released_at: null })).toEqual([
      'release',
      'retire',
      'delete',
    ]);
    expect(actionsFor({ retired_at: null, released_at: NOW })[0]).toBe('withdraw_release');
    expect(actionsFor({ retired_at: NOW, released_at: null })).toEqual(['restore', 'delete']);
  });

  it('never offer to retire what is retired', () => {
    expect(actionsForMany(true)).toEqual(['restore', 'delete']);
    expect(actionsForMany(false)).not.toContain('restore');
  });

  it('ask with the number and say what happened', () => {
    expect(questionFor('retire', 3)).toBe('Retire: 3 machines?');
    expect(resultOf('retire', 1, 1)).toBe('1 machine retired.');
    expect(resultOf('release', 1, 3)).toBe('1 machine released. 2 already were.');
  });
});

describe('the history of a credential', () => {
  it('is in words, also what a newer server writes', () => {
    expect(stepWords('machine_credential_changed')).toBe('Moved to another credential');
    expect(stepWords('machine_teleported')).toBe('machine_teleported');
  });

  it('names enrollment and certificate', () => {
    expect(credentialWords({ enrollment: 3, certificate: 'ab'.repeat(32) })).toBe(
      'enrollment 3, certificate abababab…',
    );
    expect(credentialWords({ enrollment: 3, certificate: null })).toBe('enrollment 3');
    expect(credentialWords(null)).toBe('none');
  });
});
