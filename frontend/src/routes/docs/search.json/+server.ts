// What the search of the documentation looks through: one file, loaded when someone searches.
import { json } from '@sveltejs/kit';
import type { DocSearchSection } from '#lib/docs/types.ts';

export const prerender = true;

const MADE = import.meta.glob<DocSearchSection[]>(
  [
    '../../../../../docs/guide/*.md',
    '../../../../../docs/operations.md',
    '../../../../../docs/configuration.md',
    '../../../../../docs/permissions.md',
    '../../../../../docs/alerts.md',
    '../../../../../docs/metrics.md',
  ],
  { eager: true, import: 'default', query: '?search' },
);

export const GET = () => json(Object.values(MADE).flat());
