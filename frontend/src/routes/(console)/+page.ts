import { listEvents } from '#lib/api/events.ts';
import { readOverview } from '#lib/api/overview.ts';
import { PagedList } from '#lib/state/paged-list.svelte.ts';
import { Resource } from '#lib/state/resource.svelte.ts';
import { briefly } from '#lib/state/timing.ts';
import type { PageLoad } from './$types';

export const load: PageLoad = async ({ fetch, parent }) => {
  await parent(); // no requests before the login is checked
  const overview = new Resource(() => readOverview({ fetch }));
  const blocked = new PagedList({
    read: (position) => listEvents({ decision: 'blocked' }, position, { fetch }),
    key: (event) => event.id,
    size: 8,
  });
  await briefly(Promise.all([overview.first, blocked.first]));
  return { title: 'Overview', overview, blocked };
};
