import { flushSync } from 'svelte';
import { describe, expect, it, vi } from 'vitest';
import { ApiError } from '../api/errors.ts';
import { FormDraft } from './form-draft.svelte.ts';

interface Item {
  name: string;
  note: string;
}

interface Thing {
  size: number;
}

function form(question?: (draft: Thing) => boolean) {
  const save = vi.fn((draft: Thing) => Promise.resolve(draft));
  const calls = { save, onsaved: vi.fn() };
  const draft = new FormDraft<Thing>({
    start: { size: 1 },
    same: (one, other) => one.size === other.size,
    errors: ({ size }) => (size < 0 ? { size: 'Too small.' } : {}),
    fields: (thing) => thing,
    ...(question ? { question } : {}),
    ...calls,
  });
  return { draft, ...calls };
}

describe('a form’s draft', () => {
  it('is saved, and is then no change any more', async () => {
    const { draft, save, onsaved } = form();
    draft.draft.size = 2;
    flushSync();
    expect(draft.changed).toBe(true);
    await draft.submit();
    expect(save).toHaveBeenCalledExactlyOnceWith({ size: 2 }, { size: 1 });
    expect([draft.changed, draft.saved.size, draft.busy]).toEqual([false, 2, false]);
    expect(onsaved).toHaveBeenCalledOnce();
  });

  it('goes back to what is stored, which it never changed', () => {
    const { draft } = form();
    draft.draft.size = 2;
    expect(draft.saved.size).toBe(1);
    draft.reset();
    expect(draft.draft.size).toBe(1);
  });

  it('says its errors only once saving was tried, and is not sent with one', async () => {
    const { draft, save } = form();
    draft.draft.size = -1;
    expect(draft.errors).toEqual({});
    await draft.submit();
    expect(draft.errors).toEqual({ size: 'Too small.' });
    expect([save.mock.calls.length, draft.wrong]).toEqual([0, 1]);
    draft.draft.size = 3;
    expect(draft.errors).toEqual({});
  });

  it('shows a refusal at the field, and keeps what was typed', async () => {
    const { draft, save } = form();
    save.mockRejectedValueOnce(new ApiError(422, 'Refused', 'All wrong', { 'values.size': 'No.' }));
    draft.draft.size = 2;
    await draft.submit();
    expect([draft.errors, draft.failure]).toEqual([{ size: 'No.' }, '']);
    expect([draft.draft.size, draft.busy]).toEqual([2, false]);
    expect(draft.wrong).toBe(1);
  });

  it('takes a refusal away when its field is changed, and only then', async () => {
    const { draft, save } = form();
    save.mockRejectedValueOnce(
      new ApiError(422, 'Refused', '', { size: 'No.', unknown: 'Neither.' }),
    );
    draft.draft.size = 2;
    await draft.submit();
    expect(draft.errors).toEqual({ size: 'No.', unknown: 'Neither.' });
    draft.draft.size = 3;
    expect(draft.errors).toEqual({ unknown: 'Neither.' });
    await draft.submit();
    expect([draft.errors, save.mock.calls.length]).toEqual([{}, 2]);
  });

  it('tells whether something changed', () => {
    const draft = new FormDraft({ start: { names: ['a'] }, save: async (names) => names });
    draft.draft.names.push('b');
    expect(draft.changed).toBe(true);
    draft.draft.names.pop();
    expect(draft.changed).toBe(false);
  });

  it('shows why something else failed, and what was refused of it', async () => {
    const { draft } = form();
    await draft.attempt(() => Promise.reject(new ApiError(409, 'Conflict', 'It is in use.')));
    expect([draft.failure, draft.busy]).toEqual(['It is in use.', false]);
    await draft.attempt(() => Promise.reject(new ApiError(422, 'No', 'No', { size: 'Too big.' })));
    expect([draft.failure, draft.errors]).toEqual(['', { size: 'Too big.' }]);
    await draft.attempt(() => Promise.resolve());
    expect([draft.failure, draft.errors]).toEqual(['', {}]);
  });

  it('says a failure that no field can show', async () => {
    const { draft, save } = form();
    save.mockRejectedValueOnce(new ApiError(503, 'Down', 'Try again.', { elsewhere: 'No.' }));
    await draft.submit();
    expect(draft.failure).toBe('Try again.');
  });

  it('waits for the answer when saving has to be confirmed', async () => {
    const { draft, save } = form(({ size }) => size > 5);
    draft.draft.size = 6;
    await draft.submit();
    expect([draft.asking, save.mock.calls.length]).toEqual([true, 0]);
    await draft.send();
    expect([draft.asking, save.mock.calls.length]).toEqual([false, 1]);
  });
});

describe('a draft that someone else overtakes', () => {
  const stale = (current: unknown) =>
    new ApiError(
      412,
      'Changed',
      '',
      {},
      {
        current,
        changes: [
          {
            at: '2026-11-30T10:00:00Z',
            actor: 'anna',
            actor_kind: 'user',
            kind: 'rule_changed',
            reason: '',
            fields: ['note'],
          },
        ],
      },
    );

  function overtaken() {
    const save = vi.fn<(draft: Item) => Promise<Item>>();
    const form = new FormDraft<Item>({
      start: { name: 'a', note: '' },
      save,
      merge: {
        reread: (current) => current as Item,
        fields: (draft) => ({ ...draft }),
        assemble: (fields, theirs) => ({ ...theirs, ...fields }),
      },
    });
    form.draft.name = 'mine';
    save.mockRejectedValueOnce(stale({ name: 'theirs', note: 'theirs too' }));
    save.mockImplementation(async (draft) => draft);
    return { form, save };
  }

  it('keeps what was entered, takes the rest, and can be saved again', async () => {
    const { form, save } = overtaken();
    await form.submit();
    expect(form.draft).toEqual({ name: 'mine', note: 'theirs too' });
    expect(form.saved).toEqual({ name: 'theirs', note: 'theirs too' });
    expect(form.failure).toBe('');
    expect(form.conflict?.fields.map(({ field, kept }) => [field, kept])).toEqual([
      ['name', 'yours'],
      ['note', 'theirs'],
    ]);
    await form.submit();
    expect(save.mock.lastCall?.[0]).toEqual({ name: 'mine', note: 'theirs too' });
    expect(form.conflict).toBeNull();
  });

  it('takes the other value of a field when asked to, and back', async () => {
    const { form } = overtaken();
    await form.submit();
    form.choose('name', 'theirs');
    expect(form.draft.name).toBe('theirs');
    form.choose('note', 'yours');
    expect(form.draft.note).toBe('');
    form.choose('name', 'yours');
    expect(form.draft).toEqual({ name: 'mine', note: '' });
  });

  it('shows the reason of a refusal that is no conflict', async () => {
    const { form, save } = overtaken();
    save.mockReset().mockRejectedValueOnce(new ApiError(503, 'Busy', 'Try again.'));
    await form.submit();
    expect(form.conflict).toBeNull();
    expect(form.failure).toBe('Try again.');
  });
});
