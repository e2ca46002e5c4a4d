import { safeReturnPath } from '#lib/domain/url-state.ts';
import type { PageLoad } from './$types';

export const load: PageLoad = ({ url }) => ({
  title: 'Log in',
  next: safeReturnPath(url.searchParams.get('next')),
});
