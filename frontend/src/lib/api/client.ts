// The one client of /api/v1, typed by schema.ts. It turns every failure into an ApiError and tells when the login is gone.
// Calls by domain are in the files beside it.
import createClient from 'openapi-fetch';
import { fillPath } from '../domain/paths.ts';
import { confirming } from './confirm.ts';
import { asApiError, errorFromResponse } from './errors.ts';
import { freshening } from './fresh.ts';
import { guardMiddleware } from './guard.ts';
import type { paths } from './schema.ts';

export const api = createClient<paths>({ credentials: 'same-origin', pathSerializer: fillPath });

/** Common options of calls: `load`'s fetch, and an abort signal. */
export type CallOptions = {
  fetch?: typeof globalThis.fetch;
  signal?: AbortSignal;
};

/** The header of a change: the version it is made for. */
export function ifMatch({ etag }: Versioned): { 'If-Match': string } {
  return { 'If-Match': etag };
}

/** Something that can be changed; `etag` names the version that was read. */
export interface Versioned {
  readonly etag: string;
}

let loggedOut: () => void = () => undefined;

/** Sets the handler for an ended session, called by any call except a login. */
export function onLoggedOut(handler: () => void): void {
  loggedOut = handler;
}

interface Answer<T> {
  data?: T;
  error?: unknown;
  response: Response;
}

/** The body of a successful response; throws an ApiError for everything else. */
export async function unwrap<T>(call: Promise<Answer<T>>): Promise<T> {
  const answer = await call.catch((thrown: unknown) => {
    throw asApiError(thrown);
  });
  if (answer.response.ok) return answer.data as T;
  throw errorFromResponse(answer.response.status, answer.error);
}

api.use(guardMiddleware, confirming, freshening, {
  onResponse({ request, response }) {
    const loggingIn = request.url.includes('/auth/');
    if (response.status === 401 && !loggingIn) loggedOut();
  },
});
