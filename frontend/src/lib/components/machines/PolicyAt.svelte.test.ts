import { fireEvent, render, screen } from '@testing-library/svelte';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { somePolicyThen } from '../../testing/samples.ts';
import PolicyAt from './PolicyAt.svelte';

const answer = vi.hoisted(() => vi.fn());
vi.mock('../../api/machines.ts', () => ({ readPolicyAt: answer }));

afterEach(() => {
  answer.mockReset();
  vi.unstubAllEnvs();
});

async function ask(moment: string) {
  render(PolicyAt, { machineId: 'M-1' });
  await fireEvent.input(screen.getByLabelText('Policy at'), { target: { value: moment } });
  await fireEvent.click(screen.getByRole('button', { name: 'Show' }));
}

describe('the policy of a machine at an earlier time', () => {
  it('shows rules with where they came from and whether they were confirmed', async () => {
    vi.stubEnv('TZ', 'Europe/Berlin');
    answer.mockResolvedValue(somePolicyThen());
    await ask('2026-11-23T13:30');
    expect(await screen.findByText('Removal not confirmed')).toBeTruthy();
    expect(screen.getByText('an incident')).toBeTruthy();
    expect(screen.getByText('Number 7')).toBeTruthy();
    expect(screen.getByText(/not confirmed$/, { selector: '.soft' })).toBeTruthy();
    expect(answer).toHaveBeenCalledWith('M-1', '2026-11-23T12:30:00.000Z', { limit: 20 });
  });

  it('says at the field why there is nothing to show', async () => {
    const { ApiError } = await import('../../api/errors.ts');
    const why = 'The machine was first seen at 2026-11-23T12:00:00Z';
    answer.mockRejectedValue(new ApiError(422, 'The server refused the input', why, { at: why }));
    await ask('2020-01-01T00:00');
    expect(await screen.findByText(why)).toBeTruthy();
    expect(screen.getByLabelText('Policy at').getAttribute('aria-invalid')).toBe('true');
    expect(screen.queryByRole('table')).toBeNull();
  });

  it('asks for a time before it asks the server', async () => {
    await ask('');
    expect(screen.getByText('Choose a date and a time.')).toBeTruthy();
    expect(answer).not.toHaveBeenCalled();
  });
});
