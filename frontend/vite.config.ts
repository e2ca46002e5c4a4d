// Build and development settings of the console. Paths and ports of the running system are configured elsewhere:
// in development santa-proxy is in front of Vite, and the port comes from SANTA_VITE_PORT.
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { sveltekit } from '@sveltejs/kit/vite';
import { defineConfig } from 'vitest/config';
import { consoleAdapter } from './bundle/adapter.ts';
import { docsPlugin } from './bundle/docs-plugin.ts';
import { buildVersion } from './bundle/version.ts';
import { inlineScriptHashes, styleAttributeHashes } from './csp-hashes.ts';

const env = process.env;
const sha256 = (text: string) => createHash('sha256').update(text).digest('base64');
const read = (path: string) => readFileSync(new URL(path, import.meta.url), 'utf8');
const pageScripts = inlineScriptHashes(read('src/app.html'), sha256);
const announcerStyles = styleAttributeHashes(
  read('node_modules/@sveltejs/kit/src/runtime/components/root.svelte'),
  sha256,
);

/** The sources of the build. */
const SOURCES = [
  '../docs/alerts.md',
  '../docs/configuration.md',
  '../docs/guide',
  '../docs/metrics.md',
  '../docs/operations.md',
  '../docs/permissions.md',
  'bundle',
  'csp-hashes.ts',
  'package-lock.json',
  'src',
  'static',
  'vite.config.ts',
];
/** The Markdown of the documentation. */
const DOCS = '../docs';
/** Passed to the processes of the build, so that all parts have one version even if sources change in the meantime. */
const VERSION = (env['SANTA_CONSOLE_VERSION'] ??= buildVersion(import.meta.dirname, SOURCES));
/** The limit of HTML, scripts and styles of a first page, in bytes compressed by gzip. */
const FIRST_PAGE = 98_000;

/**
 * Modules that six pages or more use are one file: fewer files, and better compressed, than one for each set of pages.
 * SvelteKit's payload is separate: it is set before the modules that read it, among them the version, are evaluated.
 * So is what Vite adds for dynamic imports, which the module that sets the payload needs before.
 */
const CHUNKS = [
  { name: 'payload', test: /\/runtime\/client\/payload\.js$/, priority: 1, minSize: 0 },
  { name: 'preload', test: /vite\/preload-helper/, priority: 1, minSize: 0 },
  { name: 'shared', minShareCount: 6 },
];

/** Proxies `/api` to a server when only the console runs, for instance `http://127.0.0.1:PORT`. */
const apiTarget = env['SANTA_API_TARGET'];

export default defineConfig({
  plugins: [
    docsPlugin(DOCS),
    sveltekit({
      compilerOptions: { runes: true },
      adapter: consoleAdapter(FIRST_PAGE),
      // Open pages compare it with the server's (src/lib/state/updates.ts). A hash of the sources, so that two builds
      // of one commit are identical.
      version: { name: VERSION, pollInterval: 0 },
      csp: {
        mode: 'hash',
        directives: {
          'default-src': ['none'],
          'base-uri': ['none'],
          'connect-src': ['self'],
          'form-action': ['self'],
          'img-src': ['self'],
          'script-src': ['self', ...pageScripts],
          'style-src': ['self'],
          'style-src-attr': ['unsafe-hashes', ...announcerStyles],
        },
      },
    }),
  ],
  build: {
    // Browsers with light-dark() and popover: those since spring 2024.
    target: ['chrome123', 'firefox125', 'safari17.5'],
    cssTarget: ['chrome123', 'firefox125', 'safari17.5'],
    rolldownOptions: { output: { codeSplitting: { minSize: 12_000, groups: CHUNKS } } },
  },
  server: {
    host: '127.0.0.1',
    port: Number(env['SANTA_VITE_PORT'] ?? 5173),
    strictPort: true,
    fs: { allow: [DOCS] },
    proxy: apiTarget ? { '/api': { target: apiTarget, ws: true } } : {},
  },
  test: {
    expect: { requireAssertions: true },
    restoreMocks: true,
    projects: [
      {
        extends: true,
        test: {
          name: 'pure',
          environment: 'node',
          include: ['src/**/*.test.ts', '*.test.ts', 'bundle/*.test.ts'],
          exclude: ['src/**/*.svelte.test.ts'],
        },
      },
      {
        extends: true,
        resolve: { conditions: ['browser'] },
        test: {
          name: 'components',
          environment: 'jsdom',
          setupFiles: ['./vitest.setup.ts'],
          include: ['src/**/*.svelte.test.ts'],
        },
      },
    ],
  },
});
