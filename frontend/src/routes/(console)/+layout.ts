// Every page of the console needs a user; the login page returns to the requested page.
import { error, redirect } from '@sveltejs/kit';
import { loginState } from '#lib/api/auth.ts';
import { asApiError } from '#lib/api/errors.ts';
import { loginLink } from '#lib/links.ts';
import type { LayoutLoad } from './$types';

export const load: LayoutLoad = async ({ fetch, url, untrack }) => {
  const { user } = await loginState({ fetch }).catch((thrown: unknown) => {
    const problem = asApiError(thrown);
    error(problem.status || 503, problem.title, { hint: problem.detail });
  });
  if (!user) redirect(307, loginLink(untrack(() => url.pathname + url.search)));
  return { user };
};
