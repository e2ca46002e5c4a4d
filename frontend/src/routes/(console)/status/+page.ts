import { readStatus } from '#lib/api/status.ts';
import { Resource } from '#lib/state/resource.svelte.ts';
import { briefly } from '#lib/state/timing.ts';
import type { PageLoad } from './$types';

export const load: PageLoad = async ({ fetch, parent }) => {
  await parent(); // no requests before the login is checked
  const status = new Resource(() => readStatus({ fetch }));
  await briefly(status.first);
  return { title: 'Status', status };
};
