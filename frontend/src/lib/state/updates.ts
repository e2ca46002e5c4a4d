// A page that stays open while the server gets another console. Its own parts may be gone there, so it reads all of
// them ahead; the next page that is opened is the new console's.
import type { RouteId } from '$app/types';

/** Every page that a logged-in user can get to; a test compares the list with the folders. */
export const ROUTES = [
  '/(console)',
  '/(console)/[...rest]',
  '/(console)/enrollments',
  '/(console)/events',
  '/(console)/events/agents',
  '/(console)/events/file-accesses',
  '/(console)/machines',
  '/(console)/machines/[...id]',
  '/(console)/programs',
  '/(console)/rules',
  '/(console)/rules/files',
  '/(console)/rules/removed',
  '/(console)/settings',
  '/(console)/tags',
  '/(console)/tags/[id]',
  '/login',
] as const satisfies readonly RouteId[];

/** Reads the parts of every page, one page after the other. What cannot be read is tried again when it is needed. */
export async function loadAhead(load: (route: RouteId) => Promise<void>): Promise<void> {
  for (const route of ROUTES) await load(route).catch(() => undefined);
}

/** Calls `work` once the page is quiet; the returned function calls it off. */
export function whenIdle(work: () => void): () => void {
  if (typeof requestIdleCallback !== 'function') {
    const timer = setTimeout(work, 2000); // Safari
    return () => clearTimeout(timer);
  }
  const handle = requestIdleCallback(work);
  return () => cancelIdleCallback(handle);
}

/** Longer than a stopping santa-proxy answers requests on the connections that a browser still has to it. */
const OLD_PROXY_GONE = 10_000;

/** Checks for another console now and once more when only the new santa-proxy answers; the returned function calls it off. */
export function checkAfterRestart(check: () => unknown): () => void {
  check();
  const timer = setTimeout(check, OLD_PROXY_GONE);
  return () => clearTimeout(timer);
}

/** Whether to have the browser load a page again, instead of showing it with the parts that are here. */
export function needsReload(outdated: boolean, from: URL | undefined, to: URL | undefined) {
  return outdated && to !== undefined && from?.pathname !== to.pathname;
}
