import { listPasskeys } from '#lib/api/passkeys.ts';
import { secondFactor } from '#lib/api/second-factor.ts';
import { listSessions } from '#lib/api/sessions.ts';
import { listTokens } from '#lib/api/tokens.ts';
import { PagedList } from '#lib/state/paged-list.svelte.ts';
import { briefly } from '#lib/state/timing.ts';
import type { PageLoad } from './$types';

export const load: PageLoad = async ({ fetch, parent }) => {
  await parent(); // no requests before the login is checked
  const sessions = new PagedList({
    read: async () => ({ items: await listSessions({ fetch }), next_cursor: null }),
    key: (session) => session.id,
  });
  const tokens = new PagedList({
    read: (position) => listTokens(position, null, { fetch }),
    key: (token) => token.id,
  });
  const [factors, passkeys] = await Promise.all([secondFactor({ fetch }), listPasskeys({ fetch })]);
  await briefly(Promise.all([sessions.first, tokens.first]));
  return { title: 'Your account', sessions, tokens, factors, passkeys };
};
