import { render, screen, waitFor } from '@testing-library/svelte';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { planRevert, revertChange } from '../../api/changes.ts';
import { ApiError } from '../../api/errors.ts';
import type { RevertPlan } from '../../api/types.ts';
import { SHA256, somePlan } from '../../testing/samples.ts';
import RevertDialog from './RevertDialog.svelte';

vi.mock('../../api/changes.ts');
afterEach(() => void vi.resetAllMocks());

const STEP = {
  action: 'add',
  layer: 'global',
  rule_type: 'BINARY',
  identifier: SHA256,
  before: null,
  after: 'BLOCKLIST',
} as const;
const CONFLICT = {
  layer: 'tag:lab',
  rule_type: 'TEAMID',
  identifier: 'ABCDEFGHIJ',
  why: 'changed',
  message: 'It has been changed again since',
  seq: 59,
  at: '2026-11-23T12:00:00Z',
  actor_name: 'ann',
  kind: 'rule',
} as const;

function open(...plans: RevertPlan[]) {
  for (const plan of plans) vi.mocked(planRevert).mockResolvedValueOnce(plan);
  const onreverted = vi.fn();
  render(RevertDialog, { seq: 57, onreverted, onclose: vi.fn() });
  return onreverted;
}

const button = (name: string) => screen.getByRole<HTMLButtonElement>('button', { name });

describe('the dialog that reverts a change', () => {
  it('shows the plan and applies exactly that', async () => {
    const done = somePlan({ applied: true, added: 1, policy_seq: 61 });
    vi.mocked(revertChange).mockResolvedValue(done);
    const onreverted = open(somePlan({ added: 1, rule_steps: [STEP] }));
    await screen.findByText('1 rule comes back.');
    button('Revert').click();
    await waitFor(() => expect(onreverted).toHaveBeenCalledWith(done));
    expect(vi.mocked(revertChange).mock.calls).toEqual([
      [57, { reason: '', override_guard: false, skip_conflicts: false, policy_seq: 60 }],
    ]);
  });

  it('names conflicts with the change that is in the way, and offers the rest', async () => {
    vi.mocked(revertChange).mockResolvedValue(somePlan({ applied: true }));
    open(somePlan({ added: 1, rule_steps: [STEP], conflicts: [CONFLICT], conflicts_total: 1 }));
    await screen.findByText('1 conflict: these stay as they are');
    expect(screen.getByRole('link', { name: 'change 59' }).getAttribute('href')).toContain('59');
    button('Revert the rest').click();
    await waitFor(() => expect(revertChange).toHaveBeenCalled());
    expect(vi.mocked(revertChange).mock.calls[0]?.[1]).toMatchObject({ skip_conflicts: true });
  });

  it('has nothing to do when all is in conflict', async () => {
    open(somePlan({ conflicts: [CONFLICT], conflicts_total: 1 }));
    await screen.findByText('Nothing is left to revert.');
    expect(button('Revert the rest').disabled).toBe(true);
  });

  it('asks for an override of what the guard refuses', async () => {
    open(somePlan({ added: 1, rule_steps: [STEP], refused: ['This locks Macs out: VPN'] }));
    await screen.findByText('This locks Macs out: VPN');
    expect(button('Revert').disabled).toBe(true);
    screen.getByLabelText('Revert anyway').click();
    await waitFor(() => expect(button('Revert').disabled).toBe(false));
  });

  it('shows the new plan when the policy has changed in between', async () => {
    vi.mocked(revertChange).mockRejectedValue(new ApiError(409, 'Conflict', 'Review the new plan'));
    open(somePlan({ added: 1, rule_steps: [STEP] }), somePlan({ unchanged: 1 }));
    await screen.findByText('1 rule comes back.');
    button('Revert').click();
    await screen.findByText('Review the new plan');
    await screen.findByText('1 is as it was before already.');
    expect(button('Revert').disabled).toBe(true);
  });
});
