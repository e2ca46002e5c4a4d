import { globSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { loadAhead, needsReload, ROUTES } from './updates.ts';

describe('loadAhead', () => {
  it('knows every page that a logged-in user can get to', () => {
    const pages = globSync('**/+page.svelte', { cwd: 'src/routes' })
      .map((page) => `/${page.replace(/\/?\+page\.svelte$/, '')}`)
      .filter((route) => !route.startsWith('/blocked'));
    expect([...ROUTES].sort()).toEqual(pages.sort());
  });

  it('goes on when a part cannot be read', async () => {
    const asked: string[] = [];
    await loadAhead(async (route) => {
      asked.push(route);
      if (asked.length % 2) throw new Error('404');
    });
    expect(asked).toEqual([...ROUTES]);
  });
});

describe('needsReload', () => {
  const at = (path: string) => new URL(path, 'https://santa.example');

  it('is for another page of a console that was replaced', () => {
    expect(needsReload(true, at('/rules'), at('/tags'))).toBe(true);
    expect(needsReload(true, at('/tags/1'), at('/tags/2'))).toBe(true);
    expect(needsReload(true, undefined, at('/tags'))).toBe(true);
  });

  it('is not for the page that is open: what is typed there stays', () => {
    expect(needsReload(true, at('/rules'), at('/rules?search=fire'))).toBe(false);
    expect(needsReload(true, at('/rules'), at('/rules#top'))).toBe(false);
    expect(needsReload(true, at('/rules'), undefined)).toBe(false);
  });

  it('is not for a console that is current', () => {
    expect(needsReload(false, at('/rules'), at('/tags'))).toBe(false);
  });
});
