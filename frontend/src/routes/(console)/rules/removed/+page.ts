import { listRemovedRules } from '#lib/api/rules.ts';
import { PagedList } from '#lib/state/paged-list.svelte.ts';
import { briefly } from '#lib/state/timing.ts';
import type { PageLoad } from './$types';

export const load: PageLoad = async ({ fetch, parent }) => {
  await parent(); // no requests before the login is checked
  const list = new PagedList({
    read: (position) => listRemovedRules(position, { fetch }),
    key: (rule) => rule.id,
  });
  await briefly(list.first);
  return { title: 'Removed rules', list };
};
