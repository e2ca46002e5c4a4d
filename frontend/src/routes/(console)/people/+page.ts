import { listUsers } from '#lib/api/people.ts';
import { listRoles } from '#lib/api/roles.ts';
import { listTags } from '#lib/api/tags.ts';
import type { RoleList } from '#lib/api/types.ts';
import { roleChoices } from '#lib/domain/roles.ts';
import { textParam } from '#lib/domain/url-state.ts';
import { PagedList } from '#lib/state/paged-list.svelte.ts';
import { may, mayEverywhere } from '#lib/state/permissions.ts';
import { briefly } from '#lib/state/timing.ts';
import type { PageLoad } from './$types';

const NO_ROLES: RoleList = { items: [], permissions: [] };

export const load: PageLoad = async ({ url, fetch, parent }) => {
  const { user } = await parent(); // no requests before the login is checked
  const q = textParam(url.searchParams, 'q') ?? '';
  const list = new PagedList({
    read: async (position) =>
      may(user, 'user:read')
        ? await listUsers({ ...position, q }, { fetch })
        : { items: [], next_cursor: null },
    key: (account) => account.id,
  });
  const mayEdit = may(user, 'user:write');
  const [tags, roles] = await Promise.all([
    mayEdit ? listTags({ fetch }).catch(() => []) : [],
    mayEdit ? listRoles({ fetch }).catch(() => NO_ROLES) : NO_ROLES,
  ]);
  await briefly(list.first);
  const names = tags.map(({ name }) => name);
  // Whoever has a SCIM token gives any role that a group has.
  const mayProvision =
    roles.permissions.length > 0 &&
    roles.permissions.every(({ name }) => mayEverywhere(user, name));
  return { title: 'People', list, q, tags: names, choices: roleChoices(roles.items), mayProvision };
};
