import { listFileAccesses } from '#lib/api/events.ts';
import { ACCESS_DECISIONS } from '#lib/domain/file-access.ts';
import { choiceParam, textParam } from '#lib/domain/url-state.ts';
import { PagedList } from '#lib/state/paged-list.svelte.ts';
import { briefly } from '#lib/state/timing.ts';
import type { PageLoad } from './$types';

const DECISIONS = ACCESS_DECISIONS.map(({ value }) => value);

export const load: PageLoad = async ({ url, fetch, parent }) => {
  await parent(); // no requests before the login is checked
  const filters = {
    q: textParam(url.searchParams, 'q'),
    decision: choiceParam(url.searchParams, 'decision', DECISIONS),
  };
  const list = new PagedList({
    read: (position) => listFileAccesses(filters, position, { fetch }),
    key: (access) => access.id,
  });
  await briefly(list.first);
  return { title: 'File accesses', filters, list };
};
