import { listMembers, readTag } from '#lib/api/tags.ts';
import { PagedList } from '#lib/state/paged-list.svelte.ts';
import { Resource } from '#lib/state/resource.svelte.ts';
import { briefly } from '#lib/state/timing.ts';
import type { PageLoad } from './$types';

export const load: PageLoad = async ({ params, fetch, parent }) => {
  await parent(); // no requests before the login is checked
  const id = Number(params.id);
  const tag = new Resource(() => readTag(id, { fetch }));
  const members = new PagedList({
    read: (position) => listMembers(id, position, { fetch }),
    key: (member) => member.machine_id,
  });
  await briefly(Promise.all([tag.first, members.first]));
  return { title: tag.value?.name ?? 'Tag', id, tag, members };
};
