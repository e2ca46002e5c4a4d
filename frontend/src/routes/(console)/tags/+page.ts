import { listTags } from '#lib/api/tags.ts';
import { Resource } from '#lib/state/resource.svelte.ts';
import { briefly } from '#lib/state/timing.ts';
import type { PageLoad } from './$types';

export const load: PageLoad = async ({ fetch, parent }) => {
  await parent(); // nothing is asked for before it is known that somebody is logged in
  const tags = new Resource(() => listTags({ fetch }));
  await briefly(tags.first);
  return { title: 'Tags', tags };
};
