import { describe, expect, it } from 'vitest';
import { SHA256, someEvent, someProgram, someRule } from '../testing/samples.ts';
import { policiesFor } from './policies.ts';
import { candidatesOf, draftFromEvent, draftFromProgram } from './rule-candidates.ts';
import {
  emptyRuleForm,
  formFromDraft,
  formFromRule,
  ruleErrors,
  toRuleCreate,
  withType,
} from './rule-form.ts';

const NOW = Date.parse('2026-11-25T12:00:00Z');
const filled = { ...emptyRuleForm(), identifier: SHA256 };
const signed = someEvent({
  signing_id: 'ABCDE12345:com.example.tool',
  team_id: 'ABCDE12345',
  cdhash: 'not a hash',
});

describe('a rule form', () => {
  it('can be sent with a valid identifier and nothing else', () => {
    expect(ruleErrors(filled, NOW)).toEqual({});
  });

  it('asks for an expression when the policy is one', () => {
    expect(ruleErrors({ ...filled, policy: 'CEL' }, NOW)).toHaveProperty('cel_expr');
  });

  it('takes web addresses and the word null for the button', () => {
    const wrong = ruleErrors({ ...filled, custom_url: 'javascript:alert(1)' }, NOW);
    expect(wrong).toHaveProperty('custom_url');
    expect(ruleErrors({ ...filled, custom_url: 'null' }, NOW)).toEqual({});
    expect(ruleErrors({ ...filled, custom_url: 'https://x.example/%machine_id%' }, NOW)).toEqual(
      {},
    );
  });

  it('sends no message, address or expression that its policy does not use', () => {
    const form = { ...filled, custom_msg: 'no', custom_url: 'null', cel_expr: 'true' };
    expect(toRuleCreate({ ...form, policy: 'ALLOWLIST' })).toMatchObject({
      custom_msg: '',
      custom_url: '',
      cel_expr: null,
    });
  });

  it('sends the identifier as Santa stores it', () => {
    const form = { ...filled, identifier: ` ${SHA256.toUpperCase()}` };
    expect(toRuleCreate(form).identifier).toBe(SHA256);
  });

  it('asks for an end after the start and after now', () => {
    const early = { ...filled, expires_at: '2026-11-25T11:00:00Z' };
    expect(ruleErrors(early, NOW)).toHaveProperty('expires_at');
    const later = { ...filled, expires_at: '2026-11-25T13:00:00Z' };
    expect(ruleErrors(later, NOW)).toEqual({});
    const waits = { ...later, starts_at: '2026-11-25T14:00:00Z' };
    expect(ruleErrors(waits, NOW)).toHaveProperty('expires_at');
  });

  it('asks for the owner of a layer', () => {
    expect(ruleErrors({ ...filled, layer: 'tag:' }, NOW).layer).toBe('Choose a tag.');
  });

  it('keeps layer, lock and times of a rule that is edited', () => {
    const rule = someRule({
      layer: 'tag:lab',
      locked: true,
      state: 'waiting',
      starts_at: '2026-12-01T08:00:30Z',
      expires_at: '2026-12-31T08:00:00Z',
    });
    expect(toRuleCreate(formFromRule(rule))).toMatchObject({
      layer: 'tag:lab',
      locked: true,
      starts_at: '2026-12-01T08:00:30Z',
      expires_at: '2026-12-31T08:00:00Z',
    });
  });

  it('sends no start for a rule that is in force', () => {
    const rule = someRule({ starts_at: '2026-11-01T08:00:00Z' });
    expect(formFromRule(rule).starts_at).toBeNull();
  });

  it('shows a rule as it is', () => {
    const rule = someRule({ policy: 'CEL', cel_expr: 'euid == 0', comment: 'why' });
    expect(formFromRule(rule)).toMatchObject({ cel_expr: 'euid == 0', comment: 'why' });
  });
});

describe('changing the type', () => {
  it('gives up a policy that the new type does not have', () => {
    const form = { ...filled, policy: 'ALLOWLIST_COMPILER' as const };
    expect(withType(form, 'TEAMID').policy).toBe('ALLOWLIST');
    expect(withType(form, 'CDHASH').policy).toBe('ALLOWLIST_COMPILER');
    expect(policiesFor('CERTIFICATE')).not.toContain('ALLOWLIST_COMPILER');
  });

  it('keeps what was typed, and swaps what an event offered', () => {
    const draft = draftFromEvent(signed);
    const form = formFromDraft(draft);
    expect(withType(form, 'TEAMID', draft).identifier).toBe('ABCDE12345');
    expect(withType({ ...form, identifier: 'typed' }, 'TEAMID', draft).identifier).toBe('typed');
    expect(withType(filled, 'TEAMID').identifier).toBe(SHA256);
  });
});

describe('a draft from an event', () => {
  it('offers the identifiers that fit their type', () => {
    expect(candidatesOf(signed)).toEqual({
      BINARY: SHA256,
      SIGNINGID: 'ABCDE12345:com.example.tool',
      TEAMID: 'ABCDE12345',
    });
  });

  it('allows what was blocked, for all versions of a signed program', () => {
    expect(draftFromEvent(signed)).toMatchObject({ type: 'SIGNINGID', policy: 'ALLOWLIST' });
  });

  it('blocks what ran, for the one file when it is not signed', () => {
    const event = someEvent({ blocked: false, decision: 'ALLOW_UNKNOWN' });
    expect(draftFromEvent(event)).toMatchObject({ type: 'BINARY', policy: 'BLOCKLIST' });
  });
});

describe('a draft from a program', () => {
  it('offers its identifiers, and the opposite of what mostly happened', () => {
    const program = someProgram({
      team_id: 'ABCDE12345',
      signing_id: 'ABCDE12345:tool',
      blocked: 3,
    });
    expect(draftFromProgram(program)).toMatchObject({
      type: 'SIGNINGID',
      policy: 'ALLOWLIST',
      candidates: { BINARY: SHA256, SIGNINGID: 'ABCDE12345:tool', TEAMID: 'ABCDE12345' },
    });
    expect(draftFromProgram(someProgram({ allowed: 3 }))).toMatchObject({
      type: 'BINARY',
      policy: 'BLOCKLIST',
    });
  });
});
