import { listMachines } from '#lib/api/machines.ts';
import { choiceParam, textParam } from '#lib/domain/url-state.ts';
import { PagedList } from '#lib/state/paged-list.svelte.ts';
import { briefly } from '#lib/state/timing.ts';
import type { PageLoad } from './$types';

export const load: PageLoad = async ({ url, fetch, parent }) => {
  await parent(); // no requests before the login is checked
  const show = choiceParam(url.searchParams, 'show', ['retired', 'withheld']);
  const filters = {
    q: textParam(url.searchParams, 'q'),
    retired: show === 'retired',
    withheld: show === 'withheld',
  };
  const list = new PagedList({
    read: (position) => listMachines(filters, position, { fetch }),
    key: (machine) => machine.machine_id,
  });
  await briefly(list.first);
  return { title: 'Machines', show, filters, list };
};
