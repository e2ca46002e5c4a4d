import { render, screen, waitFor } from '@testing-library/svelte';
import { createRawSnippet } from 'svelte';
import { expect, it, vi } from 'vitest';
import { ApiError } from '../api/errors.ts';
import FormDialog from './FormDialog.svelte';

const children = createRawSnippet(() => ({
  render: () => '<input aria-invalid="true" data-testid="name">',
}));

function open(props: Record<string, unknown> = {}) {
  const all = {
    title: 'New thing',
    action: 'Create',
    unsaved: '',
    fields: { name: '' },
    mistakes: {},
    check: () => ({}),
    send: vi.fn(async () => undefined),
    onclose: vi.fn(),
    children,
    ...props,
  };
  render(FormDialog, all);
  return all;
}

const submit = () => screen.getByText('Create').click();

it('sends what is right', async () => {
  const { send } = open();
  submit();
  await waitFor(() => expect(send).toHaveBeenCalledOnce());
});

it('does not send what is wrong, and goes where it is', async () => {
  const { send } = open({ check: () => ({ name: 'Enter a name.' }) });
  submit();
  await waitFor(() => expect(document.activeElement).toBe(screen.getByTestId('name')));
  expect(send).not.toHaveBeenCalled();
});

it('sends once, however often it is asked to', async () => {
  const { send } = open({ send: vi.fn(() => new Promise<void>(() => undefined)) });
  submit();
  submit();
  document.querySelector('form')?.requestSubmit();
  expect(send).toHaveBeenCalledOnce();
});

it('stays open with the reason of a refusal, and can be sent again', async () => {
  const send = vi.fn().mockRejectedValueOnce(new ApiError(503, 'Busy', 'Try again in a moment.'));
  const { onclose } = open({ send });
  submit();
  expect(await screen.findByText(/Try again in a moment/)).toBeTruthy();
  expect(onclose).not.toHaveBeenCalled();
  await waitFor(() => {
    submit(); // nothing happens until the first answer has been dealt with
    expect(send).toHaveBeenCalledTimes(2);
  });
  await waitFor(() => expect(screen.queryByText(/Try again in a moment/)).toBeNull());
});

it('asks before what was typed is lost', async () => {
  const { onclose } = open({ unsaved: 'What you typed is not saved.' });
  screen.getByText('Close').click();
  expect(await screen.findByText('What you typed is not saved.')).toBeTruthy();
  expect(onclose).not.toHaveBeenCalled();
  screen.getByText('Close anyway').click();
  expect(onclose).toHaveBeenCalledOnce();
});
