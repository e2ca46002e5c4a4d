import { listLayers } from '#lib/api/layers.ts';
import { Resource } from '#lib/state/resource.svelte.ts';
import { briefly } from '#lib/state/timing.ts';
import type { PageLoad } from './$types';

export const load: PageLoad = async ({ fetch, parent }) => {
  await parent(); // no requests before the login is checked
  const layers = new Resource(() => listLayers({ fetch }));
  await briefly(layers.first);
  return { title: 'Import and export', layers };
};
