// The lock-out guard: a change that it refuses can be repeated with an override, and what it warns about is shown.
import type { Middleware } from 'openapi-fetch';
import { errorFromResponse } from './errors.ts';

const OVERRIDE = 'override_guard';
const WARNINGS = 'x-warnings';
/** The plans of imports and reverts list their own. */
const PLANS = /\/(?:import|revert)$/;
/** Rules, imports and reverts have the override in their own forms. */
const OWN_FORMS = /^(?:POST|PUT|PATCH) \/api\/v1\/(?:rules|changes)(?:\/|$)/;

let ask: (text: string) => Promise<boolean> = () => Promise.resolve(false);
let warn: (texts: readonly string[]) => void = () => undefined;

/** Sets who asks whether a refused change is meant, and who shows warnings. */
export function onGuard(handlers: {
  ask: (text: string) => Promise<boolean>;
  warn: (texts: readonly string[]) => void;
}): void {
  ({ ask, warn } = handlers);
}

/** Requests that may have to be repeated: a body can be read only once. */
const sent = new Map<string, Request>();

export const guardMiddleware: Middleware = {
  onRequest({ id, request }) {
    if (request.method !== 'GET') sent.set(id, request.clone());
  },
  async onResponse({ id, response }) {
    const copy = sent.get(id);
    sent.delete(id);
    if (!copy) return;
    const answer = (await repeated(copy, response)) ?? response;
    if (answer.ok && !PLANS.test(pathOf(copy))) report(answer.headers.get(WARNINGS));
    return answer;
  },
  onError({ id }) {
    sent.delete(id);
  },
};

/** The response to the same request with an override, if it was refused without one and the user wants it. */
async function repeated(request: Request, response: Response): Promise<Response | undefined> {
  if (response.status !== 422 || OWN_FORMS.test(`${request.method} ${pathOf(request)}`)) return;
  const body: unknown = await response
    .clone()
    .json()
    .catch(() => null);
  const refusal = errorFromResponse(response.status, body);
  if (!(OVERRIDE in refusal.fields) || !(await ask(refusal.detail))) return;
  // Of the response, since a question about the same change may have been answered before.
  const address = new URL(response.url || request.url);
  address.searchParams.set(OVERRIDE, 'true');
  const { method, headers, credentials } = request;
  const content = await request.blob();
  return fetch(address, { method, headers, credentials, body: content.size > 0 ? content : null });
}

function pathOf(request: Request): string {
  return new URL(request.url).pathname;
}

function report(header: string | null): void {
  if (!header) return;
  const texts: unknown = JSON.parse(header);
  if (Array.isArray(texts)) warn(texts.map(String));
}
