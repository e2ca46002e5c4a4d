import { expect, test } from 'vitest';
import { PAGES, docPath, neighbors, pageAt } from './contents.ts';

test('pages have paths of their own', () => {
  expect(new Set(PAGES.map(({ slug }) => docPath(slug))).size).toBe(PAGES.length);
  expect(docPath('')).toBe('/docs/');
  expect(docPath('tls', 'client-certificates-mtls')).toBe('/docs/tls/#client-certificates-mtls');
  expect(pageAt('tls')?.file).toBe('guide/tls.md');
  expect(pageAt('nothing')).toBeUndefined();
});

test('one page leads to the next, from the first to the last', () => {
  expect(neighbors('').previous).toBeUndefined();
  expect(neighbors('').next?.slug).toBe('tutorial');
  expect(neighbors('tutorial').previous?.slug).toBe('');
  expect(neighbors(PAGES.at(-1)?.slug ?? '').next).toBeUndefined();
  expect(neighbors('nothing')).toEqual({});
});
