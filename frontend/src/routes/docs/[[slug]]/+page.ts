import { error } from '@sveltejs/kit';
import { PAGES, neighbors, pageAt } from '#lib/docs/contents.ts';
import { loadPage } from '#lib/docs/pages.ts';
import type { EntryGenerator, PageLoad } from './$types';

export const entries: EntryGenerator = () => PAGES.map(({ slug }) => (slug ? { slug } : {}));

export const load: PageLoad = async ({ params }) => {
  const entry = pageAt(params.slug ?? '');
  if (!entry) error(404, 'This page of the documentation does not exist');
  return { ...(await loadPage(entry)), slug: entry.slug, ...neighbors(entry.slug) };
};
