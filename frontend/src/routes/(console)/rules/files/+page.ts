import { layersWithin } from '#lib/api/layers.ts';
import { may } from '#lib/state/permissions.ts';
import { Resource } from '#lib/state/resource.svelte.ts';
import { briefly } from '#lib/state/timing.ts';
import type { PageLoad } from './$types';

export const load: PageLoad = async ({ fetch, parent }) => {
  const { user } = await parent(); // no requests before the login is checked
  const layers = new Resource(async () =>
    may(user, 'rule:export') ? await layersWithin('rule:export', { fetch }) : [],
  );
  await briefly(layers.first);
  return { title: 'Import and export', layers };
};
