import createClient from 'openapi-fetch';
import { afterEach, expect, it, vi } from 'vitest';
import { freshening, onStaleLogin } from './fresh.ts';
import type { paths } from './schema.ts';

const STALE = () => Response.json({ code: 'fresh_login_required' }, { status: 403 });
const FORBIDDEN = () => Response.json({ detail: 'no' }, { status: 403 });

function client(...answers: Response[]) {
  const seen: { method: string; body: string }[] = [];
  const fetch = async (request: Request) => {
    seen.push({ method: request.method, body: await request.text() });
    return answers.shift() ?? new Response(null, { status: 500 });
  };
  const api = createClient<paths>({ baseUrl: 'http://console', fetch });
  api.use(freshening);
  return { api, seen };
}

const rotate = (api: ReturnType<typeof client>['api']) =>
  api.POST('/api/v1/tokens/{token_id}/rotate', {
    params: { path: { token_id: 1 } },
    body: { previous_valid_until: null },
  });

afterEach(() => onStaleLogin());

it('repeats a call with its body after the password was entered', async () => {
  onStaleLogin(() => Promise.resolve(true));
  const { api, seen } = client(STALE(), Response.json({ done: true }));
  const answer = await rotate(api);
  expect(answer.response.status).toBe(200);
  expect(seen).toEqual(Array(2).fill({ method: 'POST', body: '{"previous_valid_until":null}' }));
});

it('leaves it refused when the password is not entered', async () => {
  const { api, seen } = client(STALE());
  expect((await rotate(api)).response.status).toBe(403);
  expect(seen).toHaveLength(1);
});

it('asks nothing for what is simply forbidden', async () => {
  const asked = vi.fn(() => Promise.resolve(true));
  onStaleLogin(asked);
  const { api, seen } = client(FORBIDDEN());
  expect((await rotate(api)).response.status).toBe(403);
  expect(asked).not.toHaveBeenCalled();
  expect(seen).toHaveLength(1);
});
