import { render, screen, waitFor } from '@testing-library/svelte';
import { expect, it, vi } from 'vitest';
import type { ConfirmQuestion } from '../../api/types.ts';
import ConfirmChange from './ConfirmChange.svelte';

const QUESTION: ConfirmQuestion = {
  token: '152-a',
  machines: 152,
  fleet: 474,
  reasons: [
    { kind: 'leaves_lockdown', machines: 152, detail: '152 Macs leave Lockdown' },
    { kind: 'many_machines', machines: 152, detail: 'It concerns 152 of 474 Macs' },
  ],
};

function open(question = QUESTION) {
  const answer = vi.fn();
  render(ConfirmChange, { question, answer });
  return answer;
}

it('names the number of Macs and every reason, and starts at the way out', async () => {
  open();
  expect(screen.getByRole('dialog', { name: 'Change 152 Macs?' })).toBeTruthy();
  expect(screen.getByText('152 Macs leave Lockdown.')).toBeTruthy();
  expect(screen.getByText('It concerns 152 of 474 Macs.')).toBeTruthy();
  expect(screen.getByText(/There are 474 Macs in all/)).toBeTruthy();
  await waitFor(() => expect(document.activeElement?.textContent).toContain('Cancel'));
});

it('says when it is all of them', () => {
  open({ ...QUESTION, machines: 474 });
  expect(screen.getByText(/These are all Macs/)).toBeTruthy();
});

it.each([
  ['Yes, change 152 Macs', true],
  ['Cancel', false],
])('answers with %s', async (name, yes) => {
  const answer = open();
  screen.getByRole('button', { name }).click();
  await waitFor(() => expect(answer).toHaveBeenCalledExactlyOnceWith(yes));
});
