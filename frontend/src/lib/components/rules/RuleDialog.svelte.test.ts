import { render, screen, waitFor } from '@testing-library/svelte';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { ApiError } from '../../api/errors.ts';
import { listMachines } from '../../api/machines.ts';
import { changeRule, createRule } from '../../api/rules.ts';
import { listTags } from '../../api/tags.ts';
import { draftFromEvent } from '../../domain/rule-candidates.ts';
import { SHA256, someEvent, someMachine, someRule, someTag } from '../../testing/samples.ts';
import RuleDialog from './RuleDialog.svelte';

vi.mock('../../api/rules.ts');
vi.mock('../../api/tags.ts');
vi.mock('../../api/machines.ts');
beforeEach(() => void vi.mocked(listTags).mockResolvedValue([someTag()]));
afterEach(() => void vi.resetAllMocks());

const field = (name: string) => screen.getByLabelText<HTMLInputElement>(name);

function type(name: string, value: string) {
  field(name).value = value;
  field(name).dispatchEvent(new Event('input', { bubbles: true }));
}

async function choose(name: string, value: string) {
  field(name).value = value;
  field(name).dispatchEvent(new Event('change', { bubbles: true }));
  await waitFor(() => expect(field(name).value).toBe(value));
}

function open(props: Partial<Parameters<typeof render<typeof RuleDialog>>[1]> = {}) {
  const onsaved = vi.fn();
  render(RuleDialog, { onsaved, onclose: vi.fn(), ...props });
  return onsaved;
}

describe('the rule dialog', () => {
  it('creates a rule from what was typed', async () => {
    vi.mocked(createRule).mockResolvedValue(someRule());
    const onsaved = open();
    type('Identifier', SHA256.toUpperCase());
    screen.getByText('Create rule').click();
    await waitFor(() => expect(onsaved).toHaveBeenCalledOnce());
    expect(vi.mocked(createRule).mock.calls[0]?.[0]).toMatchObject({
      rule_type: 'BINARY',
      identifier: SHA256,
      policy: 'BLOCKLIST',
    });
  });

  it('offers only the tags to which a role is limited, and Macs', async () => {
    vi.mocked(listTags).mockResolvedValue([someTag(), { ...someTag(), id: 2, name: 'lab' }]);
    open({ limits: ['lab'] });
    expect(field('Applies to').value).toBe('tag');
    const kinds = [...field('Applies to').querySelectorAll('option')].map((kind) => kind.value);
    expect(kinds).toEqual(['tag', 'machine']);
    await waitFor(() => expect(field('Tag').value).toBe('lab'));
    await screen.findByRole('option', { name: 'lab' });
    expect(screen.queryByRole('option', { name: 'finance' })).toBeNull();
  });

  it('makes a rule for one layer, where masks mean something', async () => {
    vi.mocked(createRule).mockResolvedValue(someRule());
    const onsaved = open();
    type('Identifier', SHA256);
    await choose('Applies to', 'tag');
    await screen.findByRole('option', { name: 'finance' });
    await choose('Tag', 'finance');
    await choose('Policy', 'NONE');
    screen.getByText('Create rule').click();
    await waitFor(() => expect(onsaved).toHaveBeenCalledOnce());
    expect(vi.mocked(createRule).mock.calls[0]?.[0]).toMatchObject({
      layer: 'tag:finance',
      policy: 'NONE',
    });
  });

  it('asks which tag is meant', async () => {
    open();
    type('Identifier', SHA256);
    await choose('Applies to', 'tag');
    screen.getByText('Create rule').click();
    await screen.findByText('Choose a tag.');
    expect(createRule).not.toHaveBeenCalled();
  });

  it('finds the machine that a rule is for', async () => {
    vi.mocked(createRule).mockResolvedValue(someRule());
    vi.mocked(listMachines).mockResolvedValue({ items: [someMachine()], next_cursor: null });
    const onsaved = open();
    type('Identifier', SHA256);
    await choose('Applies to', 'machine');
    type('Machine', 'lab');
    const offer = await screen.findByRole('option', { name: /lab-mac/ });
    offer.dispatchEvent(new Event('pointerdown', { bubbles: true, cancelable: true }));
    await waitFor(() => expect(field('Machine').value).toBe('lab-mac'));
    screen.getByText('Create rule').click();
    await waitFor(() => expect(onsaved).toHaveBeenCalledOnce());
    expect(vi.mocked(createRule).mock.calls[0]?.[0]).toMatchObject({ layer: 'machine:M-1' });
  });

  it('sends a time as UTC and keeps the lock', async () => {
    vi.mocked(createRule).mockResolvedValue(someRule());
    const onsaved = open();
    type('Identifier', SHA256);
    field('Locked').click();
    field('Expires').value = '2099-01-01T12:00';
    field('Expires').dispatchEvent(new Event('change', { bubbles: true }));
    screen.getByText('Create rule').click();
    await waitFor(() => expect(onsaved).toHaveBeenCalledOnce());
    expect(vi.mocked(createRule).mock.calls[0]?.[0]).toMatchObject({
      locked: true,
      expires_at: new Date('2099-01-01T12:00').toISOString(),
    });
  });

  it('lets someone insist on a rule that the guard refuses', async () => {
    vi.mocked(createRule).mockRejectedValueOnce(
      new ApiError(422, 'Refused', 'Locks out', {
        identifier: 'Blocking this locks Macs out',
        override_guard: 'Set it',
      }),
    );
    const onsaved = open();
    expect(screen.queryByLabelText('Save anyway')).toBeNull();
    type('Identifier', SHA256);
    screen.getByText('Create rule').click();
    await screen.findByText('Blocking this locks Macs out');
    vi.mocked(createRule).mockResolvedValue(someRule());
    (await screen.findByLabelText('Save anyway')).click();
    const button = screen.getByRole<HTMLButtonElement>('button', { name: 'Create rule' });
    await waitFor(() => expect(button.disabled).toBe(false));
    screen.getByText('Create rule').click();
    await waitFor(() => expect(onsaved).toHaveBeenCalledOnce());
    expect(vi.mocked(createRule).mock.calls[1]?.[0]).toMatchObject({ override_guard: true });
  });

  it('shows what is wrong and moves the focus there instead of sending it', async () => {
    open();
    type('Identifier', 'abc');
    screen.getByText('Create rule').click();
    await screen.findByText(/64 hexadecimal digits; this has 3/);
    await waitFor(() => expect(document.activeElement).toBe(field('Identifier')));
    expect(createRule).not.toHaveBeenCalled();
    type('Identifier', SHA256);
    await waitFor(() => expect(screen.queryByText(/this has 3/)).toBeNull());
  });

  it('offers only policies that the type has', async () => {
    open();
    const policies = () => Array.from(field('Policy').querySelectorAll('option'), (o) => o.value);
    expect(policies()).toContain('ALLOWLIST_COMPILER');
    await choose('Type', 'TEAMID');
    expect(policies()).not.toContain('ALLOWLIST_COMPILER');
  });

  it('stays open and marks the field that the server refuses', async () => {
    vi.mocked(createRule).mockRejectedValue(
      new ApiError(422, 'Refused', 'The expression does not compile', { cel_expr: 'no such name' }),
    );
    const onsaved = open();
    type('Identifier', SHA256);
    await choose('Policy', 'CEL');
    type('CEL expression', 'bad');
    screen.getByText('Create rule').click();
    await screen.findByText('no such name');
    expect(screen.queryByText('The expression does not compile')).toBeNull();
    expect(onsaved).not.toHaveBeenCalled();
  });

  it('says why when the server refuses for another reason', async () => {
    vi.mocked(createRule).mockRejectedValue(new ApiError(409, 'Conflict', 'There is such a rule'));
    open();
    type('Identifier', SHA256);
    screen.getByText('Create rule').click();
    expect(await screen.findByRole('alert')).toHaveProperty(
      'textContent',
      expect.stringContaining('There is such a rule'),
    );
  });

  it('swaps the identifier with the type when an event offers one', async () => {
    const event = someEvent({ signing_id: 'ABCDE12345:tool', team_id: 'ABCDE12345' });
    open({ draft: draftFromEvent(event) });
    expect(field('Identifier').value).toBe('ABCDE12345:tool');
    expect(field('Policy').value).toBe('ALLOWLIST');
    await choose('Type', 'TEAMID');
    expect(field('Identifier').value).toBe('ABCDE12345');
  });

  it('changes an existing rule but not what it matches', async () => {
    vi.mocked(changeRule).mockResolvedValue(someRule());
    open({ rule: someRule({ id: 9 }) });
    expect(field('Identifier').disabled).toBe(true);
    await choose('Policy', 'ALLOWLIST');
    screen.getByText('Save rule').click();
    await waitFor(() =>
      expect(changeRule).toHaveBeenCalledWith(
        expect.objectContaining({ id: 9 }),
        expect.objectContaining({ policy: 'ALLOWLIST' }),
      ),
    );
  });
});
