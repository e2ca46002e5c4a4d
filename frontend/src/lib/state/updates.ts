// Updates of the console while a page is open. The new server may not have the old parts, so a page loads all of them
// ahead; the next page is loaded from the new console.
import type { RouteId } from '$app/types';

/** Every page for logged-in users; a test compares the list with the folders. */
export const ROUTES = [
  '/(console)',
  '/(console)/[...rest]',
  '/(console)/account',
  '/(console)/audit',
  '/(console)/changes',
  '/(console)/changes/[seq]',
  '/(console)/enrollments',
  '/(console)/essentials',
  '/(console)/events',
  '/(console)/events/agents',
  '/(console)/events/file-accesses',
  '/(console)/machines',
  '/(console)/machines/[...id]',
  '/(console)/people',
  '/(console)/people/groups',
  '/(console)/people/roles',
  '/(console)/programs',
  '/(console)/rules',
  '/(console)/rules/files',
  '/(console)/rules/removed',
  '/(console)/settings',
  '/(console)/status',
  '/(console)/tags',
  '/(console)/tags/[id]',
  '/login',
] as const satisfies readonly RouteId[];

/** Reads the parts of every page, one page after the other. A failed one is loaded again when it is needed. */
export async function loadAhead(load: (route: RouteId) => Promise<void>): Promise<void> {
  for (const route of ROUTES) await load(route).catch(() => undefined);
}

/** Calls `work` once the page is idle; the returned function cancels it. */
export function whenIdle(work: () => void): () => void {
  if (typeof requestIdleCallback !== 'function') {
    const timer = setTimeout(work, 2000); // Safari
    return () => clearTimeout(timer);
  }
  const handle = requestIdleCallback(work);
  return () => cancelIdleCallback(handle);
}

/** Longer than a stopping santa-proxy serves requests on a browser's open connections. */
const OLD_PROXY_GONE = 10_000;

/** Checks for an update now and again when only the new santa-proxy responds; the returned function cancels it. */
export function checkAfterRestart(check: () => unknown): () => void {
  check();
  const timer = setTimeout(check, OLD_PROXY_GONE);
  return () => clearTimeout(timer);
}

/** Whether the browser should load a page from the server instead of showing it with the present parts. */
export function needsReload(outdated: boolean, from: URL | undefined, to: URL | undefined) {
  return outdated && to !== undefined && from?.pathname !== to.pathname;
}
