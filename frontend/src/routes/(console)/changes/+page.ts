import { listChanges } from '#lib/api/changes.ts';
import { dayStart } from '#lib/domain/audit.ts';
import { CHANGE_ACTORS, CHANGE_KINDS } from '#lib/domain/changes.ts';
import { choiceParam, textParam } from '#lib/domain/url-state.ts';
import { PagedList } from '#lib/state/paged-list.svelte.ts';
import { briefly } from '#lib/state/timing.ts';
import type { PageLoad } from './$types';

const KINDS = CHANGE_KINDS.map(({ value }) => value);
const ACTORS = CHANGE_ACTORS.map(({ value }) => value);

export const load: PageLoad = async ({ url, fetch, parent }) => {
  await parent(); // no requests before the login is checked
  const params = url.searchParams;
  const filters = {
    q: textParam(params, 'q'),
    kind: choiceParam(params, 'kind', KINDS),
    actor_kind: choiceParam(params, 'actor_kind', ACTORS),
  };
  const days = { from: textParam(params, 'from'), to: textParam(params, 'to') };
  const since = dayStart(days.from);
  const until = dayStart(days.to, 1);
  const list = new PagedList({
    read: (position) => listChanges({ ...filters, since, until }, position, { fetch }),
    key: (change) => change.seq,
  });
  await briefly(list.first);
  return { title: 'Changes', filters, days, list };
};
