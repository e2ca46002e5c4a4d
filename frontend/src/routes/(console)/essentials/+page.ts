import { listOwnEssentials } from '#lib/api/essentials.ts';
import { Resource } from '#lib/state/resource.svelte.ts';
import { briefly } from '#lib/state/timing.ts';
import type { PageLoad } from './$types';

export const load: PageLoad = async ({ fetch, parent }) => {
  await parent(); // no requests before the login is checked
  const essentials = new Resource(() => listOwnEssentials({ fetch }));
  await briefly(essentials.first);
  return { title: 'Essentials', essentials };
};
