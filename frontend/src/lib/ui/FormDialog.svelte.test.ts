import { render, screen, waitFor } from '@testing-library/svelte';
import { createRawSnippet } from 'svelte';
import { describe, expect, it, vi } from 'vitest';
import { ApiError } from '../api/errors.ts';
import { FormDraft } from '../state/form-draft.svelte.ts';
import FormDialog from './FormDialog.svelte';

const children = createRawSnippet(() => ({
  render: () => '<input aria-invalid="true" data-testid="name">',
}));

interface Thing {
  name: string;
}

function open(
  options: Partial<ConstructorParameters<typeof FormDraft<Thing>>[0]> = {},
  props: Record<string, unknown> = {},
) {
  const save = vi.fn(async (draft: Thing) => draft);
  const onclose = vi.fn();
  const form = new FormDraft<Thing>({ start: { name: '' }, save, ...options });
  render(FormDialog, { title: 'New thing', action: 'Create', form, onclose, children, ...props });
  return { form, save, onclose };
}

const button = (name: string) => screen.getByRole<HTMLButtonElement>('button', { name });
const submit = () => button('Create').click();

function press(key: string) {
  const target = document.activeElement ?? document.body;
  target.dispatchEvent(new KeyboardEvent('keydown', { key, bubbles: true, cancelable: true }));
}

it('saves what is right', async () => {
  const { save } = open();
  submit();
  await waitFor(() => expect(save).toHaveBeenCalledOnce());
});

it('does not save what is wrong, and moves the focus there', async () => {
  const { save } = open({ errors: () => ({ name: 'Enter a name.' }) });
  button('Cancel').focus();
  submit();
  await waitFor(() => expect(document.activeElement).toBe(screen.getByTestId('name')));
  expect(save).not.toHaveBeenCalled();
});

it('saves once, however often it is asked to', () => {
  const save = vi.fn(() => new Promise<Thing>(() => undefined));
  open({ save });
  submit();
  submit();
  document.querySelector('form')?.requestSubmit();
  expect(save).toHaveBeenCalledOnce();
});

it('stays open with the reason of a refusal, and can be sent again', async () => {
  const save = vi
    .fn(async (draft: Thing) => draft)
    .mockRejectedValueOnce(new ApiError(503, 'Busy', 'Try again in a moment.'));
  const { onclose } = open({ save });
  submit();
  expect(await screen.findByText(/Try again in a moment/)).toBeTruthy();
  expect(onclose).not.toHaveBeenCalled();
  await waitFor(() => expect(button('Create').disabled).toBe(false));
  submit();
  await waitFor(() => expect(screen.queryByText(/Try again in a moment/)).toBeNull());
  expect(save).toHaveBeenCalledTimes(2);
});

it('cannot be sent before it is ready', () => {
  const { save } = open({}, { ready: false });
  expect(button('Create').disabled).toBe(true);
  submit();
  expect(save).not.toHaveBeenCalled();
});

describe('the first focus', () => {
  it('is in the first field, not on Close', () => {
    open();
    expect(document.activeElement).toBe(screen.getByTestId('name'));
  });

  it('is on the button that changes nothing when there is no field', () => {
    open({}, { children: createRawSnippet(() => ({ render: () => '<p>Sure?</p>' })) });
    expect(document.activeElement).toBe(button('Cancel'));
  });

  it('is on the title of what is to be read first', () => {
    open({}, { focus: 'title' });
    expect(document.activeElement).toBe(screen.getByRole('heading', { name: 'New thing' }));
  });
});

describe('closing', () => {
  const lost = 'What you entered is not saved.';

  it.each(['Escape', 'Close'])('asks before anything is lost: %s', async (way) => {
    const { form, onclose } = open();
    form.draft.name = 'half';
    await waitFor(() => expect(form.changed).toBe(true));
    if (way === 'Escape') press('Escape');
    else button('Close').click();
    expect(await screen.findByText(lost)).toBeTruthy();
    await waitFor(() => expect(document.activeElement).toBe(button('Go back')));
    expect(onclose).not.toHaveBeenCalled();
    press('Escape'); // closes the question, not the form
    await waitFor(() => expect(screen.queryByText(lost)).toBeNull());
    expect([onclose.mock.calls.length, form.draft.name]).toEqual([0, 'half']);
    expect(document.activeElement).toBe(screen.getByTestId('name'));
    press('Escape');
    (await screen.findByText('Close anyway')).click();
    expect(onclose).toHaveBeenCalledOnce();
  });

  it('asks nothing when nothing was entered, or what was entered is gone again', async () => {
    const { form, onclose } = open();
    form.draft.name = 'half';
    form.draft.name = '';
    press('Escape');
    expect(onclose).toHaveBeenCalledOnce();
    expect(screen.queryByText(lost)).toBeNull();
  });

  it('asks for what the form does not know of', async () => {
    const { onclose } = open({}, { unsaved: 'The secret is shown only now.' });
    press('Escape');
    expect(await screen.findByText('The secret is shown only now.')).toBeTruthy();
    expect(onclose).not.toHaveBeenCalled();
  });
});
