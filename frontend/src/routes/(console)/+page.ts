import { error, redirect } from '@sveltejs/kit';
import { listEvents } from '#lib/api/events.ts';
import { readOverview } from '#lib/api/overview.ts';
import { pagesOf } from '#lib/components/shell/navigation.ts';
import { PagedList } from '#lib/state/paged-list.svelte.ts';
import { may } from '#lib/state/permissions.ts';
import { Resource } from '#lib/state/resource.svelte.ts';
import { briefly } from '#lib/state/timing.ts';
import type { PageLoad } from './$types';

export const load: PageLoad = async ({ fetch, parent }) => {
  const { user } = await parent(); // no requests before the login is checked
  if (!may(user, 'overview:read')) {
    const first = pagesOf(user)[0];
    if (!first)
      error(403, 'Nothing to see here', { hint: 'You have no role. Ask an administrator.' });
    redirect(307, first.href);
  }
  const overview = new Resource(() => readOverview({ fetch }));
  const blocked = new PagedList({
    read: (position) => listEvents({ decision: 'blocked' }, position, { fetch }),
    key: (event) => event.id,
    size: 8,
  });
  await briefly(Promise.all([overview.first, blocked.first]));
  return { title: 'Overview', overview, blocked };
};
