// The pages that the build made of the Markdown files, each loaded when it is opened.
import type { DocEntry } from './contents.ts';
import type { DocPage } from './types.ts';

const FOLDER = '../../../../docs/';
const MADE = import.meta.glob<DocPage>(
  [
    '../../../../docs/guide/*.md',
    '../../../../docs/operations.md',
    '../../../../docs/configuration.md',
    '../../../../docs/permissions.md',
    '../../../../docs/alerts.md',
    '../../../../docs/metrics.md',
  ],
  { import: 'default' },
);

/** The content of a page. */
export async function loadPage(entry: DocEntry): Promise<DocPage> {
  const load = MADE[FOLDER + entry.file];
  if (!load) throw new Error(`the build has no docs/${entry.file}`);
  return load();
}
