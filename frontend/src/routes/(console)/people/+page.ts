import { listUsers } from '#lib/api/people.ts';
import { listTags } from '#lib/api/tags.ts';
import { textParam } from '#lib/domain/url-state.ts';
import { PagedList } from '#lib/state/paged-list.svelte.ts';
import { may } from '#lib/state/permissions.ts';
import { briefly } from '#lib/state/timing.ts';
import type { PageLoad } from './$types';

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
  const tags = may(user, 'user:write') ? await listTags({ fetch }).catch(() => []) : [];
  await briefly(list.first);
  return { title: 'People', list, q, tags: tags.map(({ name }) => name) };
};
