import { listTags } from '#lib/api/tags.ts';
import { Resource } from '#lib/state/resource.svelte.ts';
import { briefly } from '#lib/state/timing.ts';
import type { PageLoad } from './$types';

export const load: PageLoad = async ({ fetch, parent }) => {
  await parent(); // no requests before the login is checked
  const tags = new Resource(() => listTags({ fetch }));
  await briefly(tags.first);
  return { title: 'Tags', tags };
};
