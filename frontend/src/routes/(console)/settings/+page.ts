import { readSettings } from '#lib/api/settings.ts';
import { Resource } from '#lib/state/resource.svelte.ts';
import { briefly } from '#lib/state/timing.ts';
import type { PageLoad } from './$types';

export const load: PageLoad = async ({ fetch }) => {
  const settings = new Resource(() => readSettings({ fetch }));
  await briefly(settings.first);
  return { title: 'Settings', settings };
};
