import { mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { buildVersion } from './version.ts';

let root = '';

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'version-'));
  mkdirSync(join(root, 'src/routes'), { recursive: true });
  writeFileSync(join(root, 'src/routes/page.svelte'), 'one');
  writeFileSync(join(root, 'src/app.html'), 'two');
  writeFileSync(join(root, 'package-lock.json'), '{}');
});

afterEach(() => {
  rmSync(root, { recursive: true });
});

const version = () => buildVersion(root, ['src', 'package-lock.json']);

it('names the same sources the same way', () => {
  expect(version()).toBe(version());
  expect(version()).toMatch(/^[0-9a-f]{16}$/);
});

it.each([
  ['a changed file', () => writeFileSync(join(root, 'src/routes/page.svelte'), 'One')],
  ['a new file', () => writeFileSync(join(root, 'src/new.ts'), '')],
  ['a renamed file', () => renameSync(join(root, 'src/app.html'), join(root, 'src/App.html'))],
  ['a changed dependency', () => writeFileSync(join(root, 'package-lock.json'), '{ }')],
  [
    'content that moved between files',
    () => {
      writeFileSync(join(root, 'src/app.html'), 'twoo');
      writeFileSync(join(root, 'src/routes/page.svelte'), 'ne');
    },
  ],
])('names %s otherwise', (_, change) => {
  const before = version();
  change();
  expect(version()).not.toBe(before);
});
