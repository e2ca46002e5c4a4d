import { listEnrollments } from '#lib/api/enrollments.ts';
import { PagedList } from '#lib/state/paged-list.svelte.ts';
import { may } from '#lib/state/permissions.ts';
import { briefly } from '#lib/state/timing.ts';
import type { PageLoad } from './$types';

export const load: PageLoad = async ({ fetch, parent }) => {
  const { user } = await parent(); // no requests before the login is checked
  const list = new PagedList({
    read: async (position) =>
      may(user, 'enrollment:read')
        ? await listEnrollments(position, { fetch })
        : { items: [], next_cursor: null },
    key: (enrollment) => enrollment.id,
  });
  await briefly(list.first);
  return { title: 'Enrollments', list };
};
