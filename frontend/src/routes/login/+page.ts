import { loginMethods } from '#lib/api/auth.ts';
import { safeReturnPath } from '#lib/domain/url-state.ts';
import type { PageLoad } from './$types';

export const load: PageLoad = async ({ fetch, url }) => ({
  title: 'Log in',
  next: safeReturnPath(url.searchParams.get('next')),
  local: url.searchParams.has('local'),
  methods: await loginMethods(url.searchParams.get('failure') ?? '', { fetch }).catch(() => null),
});
