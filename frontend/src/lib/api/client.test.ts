import { describe, expect, it, vi } from 'vitest';
import { logIn } from './auth.ts';
import { onLoggedOut } from './client.ts';
import { listEvents } from './events.ts';

// The client reads these when it is created: outside a browser an address needs its origin.
const { asked, fetch } = vi.hoisted(() => {
  const asked: URL[] = [];
  const fetch = vi.fn<() => Promise<Response>>();
  class PageRequest extends Request {
    constructor(input: string, init?: RequestInit) {
      super(new URL(input, 'http://console.test'), init);
      asked.push(new URL(this.url));
    }
  }
  vi.stubGlobal('Request', PageRequest);
  vi.stubGlobal('fetch', fetch);
  return { asked, fetch };
});

function answer(status: number, body: unknown) {
  return Promise.resolve(
    new Response(JSON.stringify(body), {
      status,
      headers: { 'content-type': status < 400 ? 'application/json' : 'application/problem+json' },
    }),
  );
}

describe('the client', () => {
  it('gives the body of an answer and leaves absent filters out of the address', async () => {
    const page = { items: [], next_cursor: null };
    fetch.mockReturnValue(answer(200, page));
    const filters = { q: undefined, decision: 'blocked' };
    await expect(listEvents(filters, { limit: 5 })).resolves.toEqual(page);
    expect(asked.at(-1)?.search).toBe('?decision=blocked&limit=5');
  });

  it('tells when the session is over, and fails the call', async () => {
    const loggedOut = vi.fn();
    onLoggedOut(loggedOut);
    fetch.mockReturnValue(answer(401, { title: 'Unauthorized', detail: 'Log in first' }));
    await expect(listEvents({}, { limit: 5 })).rejects.toMatchObject({
      status: 401,
      message: 'Log in first',
    });
    expect(loggedOut).toHaveBeenCalledOnce();
  });

  it('does not take a wrong password for the end of a session', async () => {
    const loggedOut = vi.fn();
    onLoggedOut(loggedOut);
    fetch.mockReturnValue(answer(401, { detail: 'Wrong' }));
    await expect(logIn('ada', 'no')).rejects.toMatchObject({ status: 401 });
    expect(loggedOut).not.toHaveBeenCalled();
  });

  it('says that nobody answered when the connection fails', async () => {
    fetch.mockRejectedValue(new TypeError('Failed to fetch'));
    await expect(listEvents({}, { limit: 5 })).rejects.toMatchObject({ status: 0 });
  });
});
