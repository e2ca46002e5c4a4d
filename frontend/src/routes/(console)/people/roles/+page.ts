import { listRoles } from '#lib/api/roles.ts';
import { may } from '#lib/state/permissions.ts';
import { Resource } from '#lib/state/resource.svelte.ts';
import { briefly } from '#lib/state/timing.ts';
import type { PageLoad } from './$types';

export const load: PageLoad = async ({ fetch, parent }) => {
  const { user } = await parent(); // no requests before the login is checked
  const roles = new Resource(async () =>
    may(user, 'user:read') ? await listRoles({ fetch }) : { items: [], permissions: [] },
  );
  await briefly(roles.first);
  return { title: 'Roles', roles };
};
