import { describe, expect, it } from 'vitest';
import { mergeEdits, sameValue } from './edit-merge.ts';

const was = { policy: 'BLOCKLIST', comment: '', locked: true };

describe('two people change the same object', () => {
  it('in different fields: both changes are kept, and theirs is told', () => {
    const merged = mergeEdits(was, { ...was, comment: 'mine' }, { ...was, policy: 'ALLOWLIST' });
    expect(merged.fields).toEqual({ policy: 'ALLOWLIST', comment: 'mine', locked: true });
    expect(merged.changes).toEqual([
      {
        field: 'policy',
        was: 'BLOCKLIST',
        theirs: 'ALLOWLIST',
        yours: 'BLOCKLIST',
        kept: 'theirs',
      },
    ]);
  });

  it('in the same field: the draft keeps its own value until someone decides', () => {
    const merged = mergeEdits(was, { ...was, comment: 'mine' }, { ...was, comment: 'theirs' });
    expect(merged.fields['comment']).toBe('mine');
    expect(merged.changes).toEqual([
      { field: 'comment', was: '', theirs: 'theirs', yours: 'mine', kept: 'yours' },
    ]);
  });

  it('in the same way: nothing is to be decided', () => {
    const both = { ...was, locked: false };
    expect(mergeEdits(was, both, both)).toEqual({ fields: both, changes: [] });
  });

  it('not at all: the draft is what it was', () => {
    expect(mergeEdits(was, was, was)).toEqual({ fields: was, changes: [] });
  });

  it('by adding and removing fields', () => {
    const base = { batch_size: 50, client_mode: 'LOCKDOWN' };
    const yours = { client_mode: 'LOCKDOWN', enable_bundles: true };
    const theirs = { batch_size: 50, full_sync_interval: 90 };
    const merged = mergeEdits(base, yours, theirs);
    expect(merged.fields).toEqual({ enable_bundles: true, full_sync_interval: 90 });
    expect(merged.changes.map(({ field, kept }) => [field, kept])).toEqual([
      ['client_mode', 'theirs'],
      ['full_sync_interval', 'theirs'],
    ]);
  });

  it('one removes what the other changes: that is a decision', () => {
    const merged = mergeEdits({ batch_size: 50 }, {}, { batch_size: 70 });
    expect(merged.fields).toEqual({});
    expect(merged.changes).toEqual([
      { field: 'batch_size', was: 50, theirs: 70, yours: undefined, kept: 'yours' },
    ]);
  });
});

describe('values', () => {
  it('are compared as they are stored', () => {
    expect(sameValue({ a: 1, b: [1, { c: 2, d: 3 }] }, { b: [1, { d: 3, c: 2 }], a: 1 })).toBe(
      true,
    );
    expect(sameValue([1, 2], [2, 1])).toBe(false);
    expect(sameValue(null, undefined)).toBe(false);
    expect(sameValue('', null)).toBe(false);
  });
});
