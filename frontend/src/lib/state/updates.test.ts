import { globSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { checkAfterRestart, loadAhead, needsReload, ROUTES } from './updates.ts';

describe('loadAhead', () => {
  it('knows every page that a logged-in user can get to', () => {
    const pages = globSync('**/+page.svelte', { cwd: 'src/routes' })
      .map((page) => `/${page.replace(/\/?\+page\.svelte$/, '')}`)
      // The others are opened as documents of their own, never from within a page.
      .filter((route) => !/^\/(blocked|docs|setup)\b/.test(route));
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

describe('checkAfterRestart', () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  it('checks again, as a stopping proxy may have answered the first time', () => {
    const check = vi.fn();
    checkAfterRestart(check);
    expect(check).toHaveBeenCalledTimes(1);
    vi.advanceTimersByTime(5000);
    expect(check).toHaveBeenCalledTimes(1);
    vi.advanceTimersByTime(60_000);
    expect(check).toHaveBeenCalledTimes(2);
  });

  it('is called off', () => {
    const check = vi.fn();
    checkAfterRestart(check)();
    vi.advanceTimersByTime(60_000);
    expect(check).toHaveBeenCalledTimes(1);
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
