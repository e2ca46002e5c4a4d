// Build and development settings of the console. Paths and ports of the running system are not its business:
// in development santa-proxy stands in front of Vite and hands in the port (SANTA_VITE_PORT).
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import adapter from '@sveltejs/adapter-static';
import { sveltekit } from '@sveltejs/kit/vite';
import { defineConfig } from 'vitest/config';
import { inlineScriptHashes, styleAttributeHashes } from './csp-hashes.ts';

const env = process.env;
const sha256 = (text: string) => createHash('sha256').update(text).digest('base64');
const read = (path: string) => readFileSync(new URL(path, import.meta.url), 'utf8');
const pageScripts = inlineScriptHashes(read('src/app.html'), sha256);
const announcerStyles = styleAttributeHashes(
  read('node_modules/@sveltejs/kit/src/runtime/components/root.svelte'),
  sha256,
);

/** Serves `/api` from another place while working on the console alone, for instance `http://127.0.0.1:PORT`. */
const apiTarget = env['SANTA_API_TARGET'];

export default defineConfig({
  plugins: [
    sveltekit({
      compilerOptions: { runes: true },
      adapter: adapter({ fallback: 'index.html' }),
      // About 100 KB compressed in all: one file loads faster over HTTP/1.1 than many small ones, and a page that stays
      // open across an update never asks for a part that is gone.
      output: { bundleStrategy: 'single' },
      // A fixed name makes two builds of one commit the same, byte for byte.
      version: { name: env['SANTA_CONSOLE_VERSION'] ?? 'dev', pollInterval: 0 },
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
  },
  server: {
    host: '127.0.0.1',
    port: Number(env['SANTA_VITE_PORT'] ?? 5173),
    strictPort: true,
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
          include: ['src/**/*.test.ts', '*.test.ts'],
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
