// Logging in over plain HTTP to a server whose sessions need HTTPS: the browser silently drops the cookie. Pure.
import type { LoginState } from '../api/types.ts';

type Address = Pick<Location, 'protocol' | 'hostname' | 'host'>;

/** Browsers treat these as secure, whatever the protocol. */
const LOOPBACK = /^(localhost|.+\.localhost|127(\.\d{1,3}){3}|\[::1\])$/;

/** Whether the browser would drop the session of this server on this page. */
export function losesSession({ https_only }: LoginState, page: Address): boolean {
  return https_only && page.protocol === 'http:' && !LOOPBACK.test(page.hostname);
}

/** Why a login cannot work here, and how to fix it. */
export function plainHttpHelp({ public_url }: LoginState, page: Address): string {
  const why = public_url
    ? `PUBLIC_URL is ${public_url}`
    : 'PUBLIC_URL is not set, and HTTPS is the default';
  const fix = public_url
    ? `Open ${public_url} instead.`
    : `Put TLS in front of the server, set PUBLIC_URL to its https:// address, and open that.`;
  return (
    `This page was opened over plain HTTP, but sessions work over HTTPS only (${why}), so the browser drops them. ` +
    `${fix} For a trial without TLS, start the server with ENVIRONMENT=development and PUBLIC_URL=http://${page.host}.`
  );
}
