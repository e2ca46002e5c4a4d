import { environmentRoles, listGroups } from '#lib/api/groups.ts';
import { listRoles } from '#lib/api/roles.ts';
import { listTags } from '#lib/api/tags.ts';
import { roleChoices } from '#lib/domain/roles.ts';
import { textParam } from '#lib/domain/url-state.ts';
import { PagedList } from '#lib/state/paged-list.svelte.ts';
import { may } from '#lib/state/permissions.ts';
import { briefly } from '#lib/state/timing.ts';
import type { PageLoad } from './$types';

export const load: PageLoad = async ({ url, fetch, parent }) => {
  const { user } = await parent(); // no requests before the login is checked
  const q = textParam(url.searchParams, 'q') ?? '';
  const mayRead = may(user, 'user:read');
  const list = new PagedList({
    read: async (position) =>
      mayRead ? await listGroups({ ...position, q }, { fetch }) : { items: [], next_cursor: null },
    key: (group) => group.id,
  });
  const [tags, roles, environment] = await Promise.all([
    may(user, 'user:write') ? listTags({ fetch }).catch(() => []) : [],
    mayRead
      ? listRoles({ fetch }).then(
          ({ items }) => items,
          () => [],
        )
      : [],
    mayRead ? environmentRoles({ fetch }).catch(() => []) : [],
  ]);
  await briefly(list.first);
  const names = tags.map(({ name }) => name);
  return { title: 'Groups', list, q, tags: names, choices: roleChoices(roles), environment };
};
