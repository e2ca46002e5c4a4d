import { listEvents } from '#lib/api/events.ts';
import { listMachineTags, readMachine } from '#lib/api/machines.ts';
import { explainSettings } from '#lib/api/settings.ts';
import { machineName } from '#lib/domain/machines.ts';
import { machineIdOf } from '#lib/domain/paths.ts';
import { PagedList } from '#lib/state/paged-list.svelte.ts';
import { Resource } from '#lib/state/resource.svelte.ts';
import { briefly } from '#lib/state/timing.ts';
import type { PageLoad } from './$types';

export const load: PageLoad = async ({ params, fetch, parent }) => {
  await parent(); // no requests before the login is checked
  const id = machineIdOf(params.id);
  const machine = new Resource(() => readMachine(id, { fetch }));
  const eventFilters = { machine_id: id };
  const events = new PagedList({
    read: (position) => listEvents(eventFilters, position, { fetch }),
    key: (event) => event.id,
    size: 10,
  });
  const tags = new Resource(() => listMachineTags(id, { fetch }));
  const settings = new Resource(() => explainSettings(id, { fetch }));
  await briefly(Promise.all([machine.first, events.first, tags.first, settings.first]));
  const title = machine.value ? machineName(machine.value) : 'Machine';
  return { title, id, machine, events, eventFilters, tags, settings };
};
