import { readChange } from '#lib/api/changes.ts';
import { ChangeView } from '#lib/state/change-view.svelte.ts';
import { briefly } from '#lib/state/timing.ts';
import { error } from '@sveltejs/kit';
import type { PageLoad } from './$types';

export const load: PageLoad = async ({ params, fetch, parent }) => {
  await parent(); // no requests before the login is checked
  const seq = Number(params.seq);
  if (!/^[1-9]\d{0,15}$/.test(params.seq)) error(404, 'There is no such change.');
  const view = new ChangeView((position) => readChange(seq, position, { fetch }));
  await briefly(view.rules.first);
  return { title: `Change ${seq}`, seq, view };
};
