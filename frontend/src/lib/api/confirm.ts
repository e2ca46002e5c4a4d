// Changes that the server asks about first: it says how many Macs they concern, and the call is repeated with the
// answer. Forms and dialogs do not notice.
import type { Middleware } from 'openapi-fetch';
import type { ConfirmQuestion } from './types.ts';

export type Ask = (question: ConfirmQuestion) => Promise<boolean>;

const nobody: Ask = () => Promise.resolve(false);
let ask = nobody;

/** Sets who answers; without anybody every question is answered with no. */
export function onQuestion(answerer: Ask = nobody): void {
  ask = answerer;
}

/** Calls that can be repeated; a body can be read only once. */
const copies = new WeakMap<Request, Request>();

export const confirming: Middleware = {
  onRequest({ request }) {
    if (request.method !== 'GET') copies.set(request, request.clone());
  },
  async onResponse({ request, response, options }) {
    const copy = copies.get(request);
    copies.delete(request);
    if (!copy || response.status !== 409) return;
    const { repeat } = await import('./repeat.ts'); // rarely needed
    return repeat(copy, response, { ask, fetch: options.fetch });
  },
};
