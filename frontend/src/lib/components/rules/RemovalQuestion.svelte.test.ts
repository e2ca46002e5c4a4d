import { render, screen, waitFor } from '@testing-library/svelte';
import { expect, it, vi } from 'vitest';
import { ApiError } from '../../api/errors.ts';
import type { ImportPlan } from '../../api/types.ts';
import RemovalQuestion from './RemovalQuestion.svelte';

function open(removed: number, onconfirm = vi.fn(async () => undefined)) {
  const plan: ImportPlan = {
    policy_seq: 7,
    applied: false,
    rules: 4,
    added: 0,
    changed: 0,
    removed,
    unchanged: 4,
    changes: [],
    mistakes: [],
    mistakes_total: 0,
    warnings: [],
    missing_layers: [],
    recognized: null,
  };
  render(RemovalQuestion, { plan, onconfirm, onclose: vi.fn() });
  return onconfirm;
}

const action = () => screen.getByRole<HTMLButtonElement>('button', { name: /^Import and remove/ });

it('needs one click when few rules are removed, which is not where the focus is', async () => {
  const onconfirm = open(9);
  expect(screen.queryByRole('textbox')).toBeNull();
  expect(document.activeElement?.textContent).toContain('Cancel');
  action().click();
  await waitFor(() => expect(onconfirm).toHaveBeenCalledOnce());
});

it.each(['1,234', '1234', '1 234', '1.234'])(
  'needs the number of many, as in %j',
  async (typed) => {
    const onconfirm = open(1234);
    const input = screen.getByRole<HTMLInputElement>('textbox');
    expect([document.activeElement === input, action().disabled]).toEqual([true, true]);
    for (const [text, disabled] of [
      ['123', true],
      [typed, false],
    ] as const) {
      input.value = text;
      input.dispatchEvent(new Event('input', { bubbles: true }));
      await waitFor(() => expect(action().disabled).toBe(disabled));
    }
    action().click();
    await waitFor(() => expect(onconfirm).toHaveBeenCalledOnce());
  },
);

it('stays open with the reason when the import is refused', async () => {
  open(
    1,
    vi.fn(() => Promise.reject(new ApiError(409, 'Conflict', 'The policy has changed.'))),
  );
  action().click();
  expect((await screen.findByRole('alert')).textContent).toContain('The policy has changed.');
});
