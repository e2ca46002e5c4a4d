import { isHttpError, isRedirect } from '@sveltejs/kit';
import { expect, it, vi } from 'vitest';
import type { User } from '#lib/api/types.ts';
import { load } from './+page.ts';

type Rights = Pick<User, 'permissions' | 'scopes'>;

async function opened(user: Rights): Promise<unknown> {
  const fetch = vi.fn(() => new Promise<Response>(() => undefined));
  const event = { fetch, parent: async () => ({ user }) } as unknown as Parameters<typeof load>[0];
  try {
    await load(event);
  } catch (thrown) {
    expect(fetch).not.toHaveBeenCalled();
    return thrown;
  }
  return 'the overview';
}

it('leads those who may not see the overview to their first page', async () => {
  const lab = await opened({ permissions: ['rule:read', 'machine:read'], scopes: {} });
  expect(isRedirect(lab) && lab.location).toBe('/machines');
  const requester = await opened({ permissions: ['program:read'], scopes: {} });
  expect(isRedirect(requester) && requester.location).toBe('/programs');
});

it('tells those without a role whom to ask', async () => {
  const thrown = await opened({ permissions: [], scopes: {} });
  expect(isHttpError(thrown, 403) && thrown.body).toMatchObject({
    hint: expect.stringContaining('Ask an administrator'),
  });
});

it('shows the overview to those who may see it', async () => {
  vi.useFakeTimers();
  const shown = opened({ permissions: ['overview:read', 'event:read'], scopes: {} });
  await vi.runAllTimersAsync();
  expect(await shown).toBe('the overview');
  vi.useRealTimers();
});
