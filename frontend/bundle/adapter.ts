// The static adapter, with additions: the page preloads the files of the console's layout, which all pages but two
// need, so that a browser does not wait for the router; and the build fails when a first page is too large or a module
// would read SvelteKit's payload before it is set.
import { readFileSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { gzipSync } from 'node:zlib';
import adapter from '@sveltejs/adapter-static';
import type { Adapter } from '@sveltejs/kit';
import {
  filesOf,
  readTooEarly,
  routesOf,
  tooLarge,
  withPreloads,
  type Manifest,
} from './manifest.ts';

const PAGE = 'index.html';
const FRAME = '/(console)';
const KIT = 'node_modules/@sveltejs/kit/src/runtime/client';

/** `most`: what a page may have of HTML, scripts and styles when it is the first one, in bytes compressed by gzip. */
export function consoleAdapter(most: number): Adapter {
  const to = 'build';
  const whole = adapter({ pages: to, fallback: PAGE });
  return {
    ...whole,
    name: 'console',
    async adapt(builder) {
      await whole.adapt(builder);
      const made = (file: string) => join(to, file);
      const work = relative('.', builder.config.outDir);
      const generated = join(work, 'generated/build/client-optimized');
      const manifest = JSON.parse(
        readFileSync(join(work, 'output/client/.vite/manifest.json'), 'utf8'),
      ) as Manifest;
      const early = readTooEarly(manifest, `${KIT}/entry.js`, `${KIT}/payload.js`);
      if (early) throw new Error(early);
      const app = join(generated, 'app.js');
      const routes = routesOf(readFileSync(app, 'utf8'));
      const node = (number: number) => join(generated, `nodes/${String(number)}.js`);

      const frame = routes.get(FRAME)?.frame.map(node) ?? [];
      const html = withPreloads(readFileSync(made(PAGE), 'utf8'), filesOf(manifest, frame));
      writeFileSync(made(PAGE), html);

      const router = [`${KIT}/entry.js`, `${KIT}/client-entry.js`, app, node(0), node(1)];
      const compressed = (file: string) => gzipSync(readFileSync(made(file)), { level: 9 }).length;
      const size = (nodes: readonly string[]) =>
        [PAGE, ...filesOf(manifest, [...router, ...frame, ...nodes])]
          .map(compressed)
          .reduce((sum, one) => sum + one, 0);
      const sizes = new Map([...routes].map(([id, { page }]) => [id, size([node(page)])]));
      const complaint = tooLarge(sizes, most);
      if (complaint) throw new Error(complaint);
      const [[largest, bytes] = ['', 0]] = [...sizes].sort(([, one], [, other]) => other - one);
      builder.log(`largest first page: ${largest}, ${(bytes / 1000).toFixed(1)} kB`);
    },
  };
}
