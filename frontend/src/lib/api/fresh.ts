// Changes that need a login of just now: the password is asked for, and the call is repeated. Forms do not notice.
import type { Middleware } from 'openapi-fetch';

const CODE = 'fresh_login_required';

/** Whether the user has proved who it is. */
export type Prove = () => Promise<boolean>;

const nobody: Prove = () => Promise.resolve(false);
let prove = nobody;

/** Sets who asks for the password; without anybody such calls fail. */
export function onStaleLogin(asker: Prove = nobody): void {
  prove = asker;
}

/** Calls that can be repeated; a body can be read only once. */
const copies = new WeakMap<Request, Request>();

export const freshening: Middleware = {
  onRequest({ request }) {
    if (request.method !== 'GET') copies.set(request, request.clone());
  },
  async onResponse({ request, response, options }) {
    const copy = copies.get(request);
    copies.delete(request);
    if (!copy || response.status !== 403 || !(await needsProof(response))) return;
    return (await prove()) ? options.fetch(copy) : response;
  },
};

async function needsProof(response: Response): Promise<boolean> {
  const body = (await response
    .clone()
    .json()
    .catch(() => null)) as { code?: unknown } | null;
  return body?.code === CODE;
}
