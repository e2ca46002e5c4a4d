import { expect, test } from 'vitest';
import { actionLabel, actorLabel, dayStart, differences, objectLabel } from './audit.ts';

test('an action, its actor and its object in words', () => {
  expect(actionLabel('rule_created')).toBe('Rule created');
  expect(actionLabel('')).toBe('');
  const act = { actor_kind: 'user', actor_name: 'ann', actor_id: 3 } as const;
  expect(actorLabel(act)).toBe('ann');
  expect(actorLabel({ ...act, actor_name: null })).toBe('User 3');
  expect(actorLabel({ actor_kind: 'anonymous', actor_name: '', actor_id: null })).toBe(
    'Not logged in',
  );
  expect(actorLabel({ actor_kind: 'schedule', actor_name: null, actor_id: null })).toBe('Unknown');
  expect(objectLabel({ object_type: 'rule', object_id: '7' })).toBe('rule 7');
  expect(objectLabel({ object_type: 'blocked_contact', object_id: '*' })).toBe('blocked contact');
});

test('only what differs is shown', () => {
  const before = { policy: 'BLOCKLIST', comment: '', tags: ['a'], seq: 1 };
  const after = { policy: 'ALLOWLIST', comment: null, tags: ['a'], expires_at: '2026-01-01' };
  expect(differences({ before, after })).toEqual([
    { field: 'expires_at', before: '', after: '2026-01-01' },
    { field: 'policy', before: 'BLOCKLIST', after: 'ALLOWLIST' },
    { field: 'seq', before: '1', after: '' },
  ]);
  expect(differences({ before: null, after: null })).toEqual([]);
});

test('days are those of the browser', () => {
  expect(dayStart('2026-01-31')).toBe(new Date(2026, 0, 31).toISOString());
  expect(dayStart('2026-01-31', 1)).toBe(new Date(2026, 1, 1).toISOString());
  for (const text of [undefined, '', '2026', 'yesterday', '2026-1-1']) {
    expect(dayStart(text)).toBeUndefined();
  }
});
