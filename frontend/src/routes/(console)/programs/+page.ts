import { listPrograms } from '#lib/api/events.ts';
import { choiceParam, textParam } from '#lib/domain/url-state.ts';
import { PagedList } from '#lib/state/paged-list.svelte.ts';
import { briefly } from '#lib/state/timing.ts';
import type { PageLoad } from './$types';

export const load: PageLoad = async ({ url, fetch, parent }) => {
  await parent(); // no requests before the login is checked
  const filters = {
    q: textParam(url.searchParams, 'q'),
    outcome: choiceParam(url.searchParams, 'outcome', ['blocked', 'allowed'] as const),
  };
  const list = new PagedList({
    read: (position) => listPrograms(filters, position, { fetch }),
    key: (program) => program.id,
  });
  await briefly(list.first);
  return { title: 'Programs', filters, list };
};
