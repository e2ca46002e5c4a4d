// Turns Markdown files into modules: the page for a plain import, its texts for the search with `?search`. No Markdown library
// gets into the browser.
import { readFileSync } from 'node:fs';
import { relative, resolve } from 'node:path';
import type { Plugin } from 'vite';
import { PAGES } from '../src/lib/docs/contents.ts';
import { renderPage, searchSections } from './markdown.ts';

/** `folder`: the repository's `docs`. */
export function docsPlugin(folder: string): Plugin {
  const root = resolve(folder);
  return {
    name: 'santaserver-docs',
    enforce: 'pre',
    load(id) {
      const [path = '', query] = id.split('?');
      const file = relative(root, path);
      if (!path.endsWith('.md') || file.startsWith('..')) return null;
      this.addWatchFile(path);
      const source = readFileSync(path, 'utf8');
      const slug = PAGES.find((page) => page.file === file)?.slug;
      if (slug === undefined) throw new Error(`docs/${file} is not in src/lib/docs/contents.ts`);
      const made =
        query === 'search' ? searchSections(source, file, slug) : renderPage(source, file);
      return { code: `export default ${JSON.stringify(made)};`, moduleType: 'js', map: null };
    },
  };
}
