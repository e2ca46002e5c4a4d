import { listAudit } from '#lib/api/audit.ts';
import { ACTOR_KINDS, OBJECT_TYPES, dayStart } from '#lib/domain/audit.ts';
import { choiceParam, textParam } from '#lib/domain/url-state.ts';
import { PagedList } from '#lib/state/paged-list.svelte.ts';
import { briefly } from '#lib/state/timing.ts';
import type { PageLoad } from './$types';

const KINDS = ACTOR_KINDS.map(({ value }) => value);
const TYPES = OBJECT_TYPES.map(({ value }) => value);

export const load: PageLoad = async ({ url, fetch, parent }) => {
  await parent(); // no requests before the login is checked
  const params = url.searchParams;
  const filters = {
    actor: textParam(params, 'actor'),
    actor_kind: choiceParam(params, 'actor_kind', KINDS),
    action: textParam(params, 'action'),
    object_type: choiceParam(params, 'object_type', TYPES),
    object_id: textParam(params, 'object_id'),
  };
  const days = { from: textParam(params, 'from'), to: textParam(params, 'to') };
  const since = dayStart(days.from);
  const until = dayStart(days.to, 1);
  const list = new PagedList({
    read: (position) => listAudit({ ...filters, since, until }, position, { fetch }),
    key: (act) => act.seq,
  });
  await briefly(list.first);
  return { title: 'Audit log', filters, days, list };
};
