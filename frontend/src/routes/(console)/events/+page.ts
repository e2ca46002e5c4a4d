import { listEvents } from '#lib/api/events.ts';
import { DECISION_GROUPS } from '#lib/domain/decisions.ts';
import { choiceParam, textParam } from '#lib/domain/url-state.ts';
import { PagedList } from '#lib/state/paged-list.svelte.ts';
import { briefly } from '#lib/state/timing.ts';
import type { PageLoad } from './$types';

const GROUPS = DECISION_GROUPS.map((group) => group.value);

// Reads only the parameters that choose rows: opening an event (?event=…) does not read the list again.
export const load: PageLoad = async ({ url, fetch, parent }) => {
  await parent(); // no requests before the login is checked
  const filters = {
    q: textParam(url.searchParams, 'q'),
    decision: choiceParam(url.searchParams, 'decision', GROUPS),
    machine_id: textParam(url.searchParams, 'machine_id'),
  };
  const list = new PagedList({
    read: (position) => listEvents(filters, position, { fetch }),
    key: (event) => event.id,
  });
  await briefly(list.first);
  return { title: 'Events', filters, list };
};
