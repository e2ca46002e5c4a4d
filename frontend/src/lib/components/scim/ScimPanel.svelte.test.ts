import { render, screen } from '@testing-library/svelte';
import { beforeEach, expect, it, vi } from 'vitest';
import type { ScimState, ScimToken } from '../../api/types.ts';
import ScimPanel from './ScimPanel.svelte';

const PATIENT = { timeout: 20_000 };
const LIMIT = 60_000;
const TOKEN: ScimToken = {
  id: 3,
  name: 'Entra',
  hint: 'santa_p_ab12',
  networks: [],
  created_at: '2026-01-01T00:00:00Z',
  created_by: 'admin',
  rotated_at: null,
  expires_at: '2999-01-01T00:00:00Z',
  revoked: false,
  last_used_at: null,
  last_address: '',
  previous: null,
};
const TOLD: ScimState = {
  url: '/scim/v2',
  users: 2,
  active_users: 1,
  groups: 1,
  unlinked_users: 1,
};

const calls = vi.hoisted(() => ({ readScim: vi.fn(), listScimTokens: vi.fn() }));
vi.mock('../../api/scim.ts', () => calls);

beforeEach(() => {
  calls.readScim.mockResolvedValue(TOLD);
  calls.listScimTokens.mockResolvedValue({ items: [TOKEN], next_cursor: null });
});

it(
  'shows the address, what was provisioned, and the tokens',
  async () => {
    render(ScimPanel, { mayEdit: true, mayCreate: true });
    expect(await screen.findByText(`${location.origin}/scim/v2`, {}, PATIENT)).toBeTruthy();
    expect(screen.getByText(/2 people, 1 active; 1 group\./)).toBeTruthy();
    expect(screen.getByRole('note').textContent).toContain('Map objectId to externalId');
    expect(await screen.findByText('Entra', {}, PATIENT)).toBeTruthy();
    expect(screen.getByRole('button', { name: /New SCIM token/ })).toBeTruthy();
    expect(screen.getByRole('button', { name: /Revoke/ })).toBeTruthy();
  },
  LIMIT,
);

it(
  'offers nothing to those who may only look, and warns of nothing that is right',
  async () => {
    calls.readScim.mockResolvedValue({ ...TOLD, unlinked_users: 0 });
    render(ScimPanel, { mayEdit: false, mayCreate: false });
    expect(await screen.findByText('Entra', {}, PATIENT)).toBeTruthy();
    expect(screen.queryByRole('button', { name: /New SCIM token|Rotate|Revoke/ })).toBeNull();
    expect(screen.queryByRole('note')).toBeNull();
  },
  LIMIT,
);

it(
  'offers whoever may not do everything to revoke tokens only',
  async () => {
    render(ScimPanel, { mayEdit: true, mayCreate: false });
    expect(await screen.findByRole('button', { name: /Revoke/ }, PATIENT)).toBeTruthy();
    expect(screen.queryByRole('button', { name: /New SCIM token|Rotate/ })).toBeNull();
  },
  LIMIT,
);
