import { beforeEach, describe, expect, it, vi } from 'vitest';
import { onGuard } from './guard.ts';
import { createRule, removeRule } from './rules.ts';
import { orderTags } from './tags.ts';

// The client reads these when it is created: outside a browser an address needs its origin.
const { fetch } = vi.hoisted(() => {
  const fetch = vi.fn<(input: Request | URL, init?: RequestInit) => Promise<Response>>();
  class PageRequest extends Request {
    constructor(input: string | Request, init?: RequestInit) {
      super(typeof input === 'string' ? new URL(input, 'http://console.test') : input, init);
    }
    override clone() {
      return new PageRequest(super.clone());
    }
  }
  vi.stubGlobal('Request', PageRequest);
  vi.stubGlobal('fetch', fetch);
  return { fetch };
});

const SEEN = { tags: [1, 2], etag: '"1"' };
const REFUSED = {
  detail: 'This change would block Jamf on 3 Macs',
  errors: [
    { field: 'tags', message: 'Jamf would be blocked' },
    { field: 'override_guard', message: 'Set it to true' },
  ],
};

function refused(body: unknown = REFUSED) {
  const headers = { 'content-type': 'application/problem+json' };
  return new Response(JSON.stringify(body), { status: 422, headers });
}

function done(warnings?: string[]) {
  const headers = new Headers({ 'content-type': 'application/json' });
  if (warnings) headers.set('X-Warnings', JSON.stringify(warnings));
  return new Response('[]', { headers });
}

describe('the lock-out guard', () => {
  const ask = vi.fn<(text: string) => Promise<boolean>>();
  const warn = vi.fn<(texts: readonly string[]) => void>();

  beforeEach(() => {
    vi.resetAllMocks();
    onGuard({ ask, warn });
  });

  it('repeats a refused change with an override when the user wants it', async () => {
    ask.mockResolvedValue(true);
    fetch.mockResolvedValueOnce(refused()).mockResolvedValueOnce(done(['Jamf would be blocked']));
    await expect(orderTags([2, 1], SEEN, 'why')).resolves.toEqual([]);
    expect(ask).toHaveBeenCalledWith(REFUSED.detail);
    const [address, init] = fetch.mock.calls[1] ?? [];
    expect((address as URL).search).toBe('?override_guard=true');
    expect(init?.method).toBe('PUT');
    expect(await new Response(init?.body).json()).toEqual({ tags: [2, 1], reason: 'why' });
    expect(warn).toHaveBeenCalledWith(['Jamf would be blocked']);
  });

  it('leaves the refusal as it is when the user does not', async () => {
    ask.mockResolvedValue(false);
    fetch.mockResolvedValueOnce(refused());
    await expect(removeRule({ id: 1, etag: '"1"' }, '')).rejects.toMatchObject({
      status: 422,
      message: REFUSED.detail,
    });
    expect(fetch).toHaveBeenCalledOnce();
  });

  it('asks nothing about other refusals, nor for forms with an override of their own', async () => {
    fetch.mockResolvedValueOnce(refused({ detail: 'No', errors: [] }));
    await expect(orderTags([1], SEEN, '')).rejects.toMatchObject({ status: 422 });
    fetch.mockResolvedValueOnce(refused());
    const rule = { rule_type: 'TEAMID', identifier: '483DWKW443', policy: 'BLOCKLIST' } as const;
    await expect(createRule(rule as Parameters<typeof createRule>[0])).rejects.toMatchObject({
      status: 422,
    });
    expect(ask).not.toHaveBeenCalled();
  });
});
