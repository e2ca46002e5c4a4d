import { listAgentAudits } from '#lib/api/events.ts';
import { PagedList } from '#lib/state/paged-list.svelte.ts';
import { briefly } from '#lib/state/timing.ts';
import type { PageLoad } from './$types';

export const load: PageLoad = async ({ fetch, parent }) => {
  await parent(); // no requests before the login is checked
  const list = new PagedList({
    read: (position) => listAgentAudits({}, position, { fetch }),
    key: (audit) => audit.id,
  });
  await briefly(list.first);
  return { title: 'Agents', list };
};
