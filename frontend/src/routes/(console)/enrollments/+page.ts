import { listEnrollments } from '#lib/api/enrollments.ts';
import { PagedList } from '#lib/state/paged-list.svelte.ts';
import { briefly } from '#lib/state/timing.ts';
import type { PageLoad } from './$types';

export const load: PageLoad = async ({ fetch, parent }) => {
  await parent(); // no requests before the login is checked
  const list = new PagedList({
    read: (position) => listEnrollments(position, { fetch }),
    key: (enrollment) => enrollment.id,
  });
  await briefly(list.first);
  return { title: 'Enrollments', list };
};
