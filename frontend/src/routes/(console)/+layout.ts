// The login guard: every page of the console needs a user; without one the log-in page remembers where to return.
import { error, redirect } from '@sveltejs/kit';
import { whoAmI } from '#lib/api/auth.ts';
import { asApiError } from '#lib/api/errors.ts';
import { loginLink } from '#lib/links.ts';
import type { LayoutLoad } from './$types';

export const load: LayoutLoad = async ({ fetch, url, untrack }) => {
  try {
    return { user: await whoAmI({ fetch }) };
  } catch (thrown) {
    const problem = asApiError(thrown);
    if (problem.status === 401) {
      redirect(307, loginLink(untrack(() => url.pathname + url.search)));
    }
    error(problem.status || 503, problem.title, { hint: problem.detail });
  }
};
