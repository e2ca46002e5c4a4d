import { describe, expect, it } from 'vitest';
import type { LoggedChange, RevertPlan, RuleDifference } from '../api/types.ts';
import { someChange, somePlan } from '../testing/samples.ts';
import {
  actionOf,
  actorKind,
  conflictSubject,
  contentDifferences,
  countsOf,
  describeChange,
  describeRevert,
  revertedText,
  settingWords,
} from './changes.ts';

const content = {
  policy: 'BLOCKLIST',
  cel_expr: null,
  custom_msg: '',
  custom_url: '',
  comment: '',
  locked: false,
  starts_at: null,
  expires_at: null,
} as const;

function difference(part: Partial<RuleDifference>): RuleDifference {
  return {
    layer: 'global',
    rule_type: 'BINARY',
    identifier: 'ab',
    before: null,
    after: null,
    ...part,
  };
}

describe('a change in words', () => {
  it.each<[Partial<LoggedChange>, string]>([
    [{ added: 1 }, 'Rule added: Every machine'],
    [{ added: 0, changed: 1, layer: 'tag:lab' }, 'Rule changed: Tag lab'],
    [{ added: 0, removed: 1, layer: null }, 'Rule removed'],
    [{ kind: 'settings', layer: 'user:ann' }, 'Settings changed: User ann'],
    [{ kind: 'revert', reverts: 7 }, 'Change 7 reverted'],
    [{ kind: 'tag_order' }, 'Order of tags changed'],
    [{ kind: 'something_new' }, 'something new'],
  ])('%o is said as “%s”', (part, words) => {
    expect(describeChange(someChange(part))).toBe(words);
  });

  it('has counts, as far as the log knows them', () => {
    expect(countsOf(someChange({ added: 1200, changed: 0, removed: 2, settings: 1 }))).toBe(
      '1,200 rules added, 2 removed, 1 setting',
    );
    expect(
      countsOf(someChange({ added: null, changed: null, removed: null, settings: null })),
    ).toBe('');
  });

  it('names actors that are no users', () => {
    expect(actorKind({ actor_kind: 'user' })).toBe('');
    expect(actorKind({ actor_kind: 'token' })).toBe('API token');
    expect(actorKind({ actor_kind: 'robot' })).toBe('robot');
  });
});

describe('what a change did', () => {
  it('adds, changes or removes a rule', () => {
    const other = { ...content, comment: 'why', locked: true };
    expect(actionOf(difference({ after: content }))).toBe('add');
    expect(actionOf(difference({ before: content }))).toBe('remove');
    expect(actionOf(difference({ before: content, after: other }))).toBe('change');
    expect(contentDifferences(difference({ before: content, after: other }))).toEqual([
      { label: 'Comment', before: '', after: 'why' },
      { label: 'Locked', before: '', after: 'yes' },
    ]);
  });

  it('shows values of settings in words', () => {
    expect(settingWords('enable_bundles', { value: true, locked: true })).toBe('On (locked)');
    expect(settingWords('batch_size', null)).toBe('Not set here');
    expect(settingWords('of_a_newer_server', { value: [1], locked: false })).toBe('[1]');
  });
});

describe('a plan to revert', () => {
  it.each<[Partial<RevertPlan>, string]>([
    [{ added: 1 }, '1 rule comes back.'],
    [
      { changed: 2, removed: 1, unchanged: 1 },
      '2 rules get their earlier content, 1 rule is removed, 1 is as it was before already.',
    ],
    [{ settings: 1 }, '1 setting gets its earlier value.'],
    [{}, 'Nothing is left to revert.'],
  ])('%o is “%s”', (part, words) => {
    expect(describeRevert(somePlan(part))).toBe(words);
  });

  it('names what is in the way', () => {
    const conflict = {
      layer: 'global',
      rule_type: null,
      identifier: 'batch_size',
      why: 'changed',
      message: 'It has been changed again since',
      seq: 9,
      at: '2026-11-23T12:00:00Z',
      actor_name: 'ann',
      kind: 'settings',
    } as const;
    expect(conflictSubject(conflict)).toContain('Every machine');
    expect(conflictSubject({ ...conflict, rule_type: 'TEAMID', identifier: 'ABC' })).toMatch(
      /ABC, Every machine$/,
    );
  });

  it('says whether anything was done', () => {
    expect(revertedText(somePlan({ applied: true, reverts: 3 }))).toContain('Change 3 reverted');
    expect(revertedText(somePlan())).toBe('Nothing was left to revert.');
  });
});
