import { afterEach, describe, expect, it, vi } from 'vitest';
import { onQuestion } from './confirm.ts';
import { ApiError } from './errors.ts';
import { removeRule } from './rules.ts';
import type { ConfirmQuestion } from './types.ts';

// The client reads these when it is created: outside a browser an address needs its origin.
const { sent, fetch } = vi.hoisted(() => {
  const sent: Request[] = [];
  const fetch = vi.fn<(request: Request) => Promise<Response>>();
  class PageRequest extends Request {
    constructor(input: string, init?: RequestInit) {
      super(new URL(input, 'http://console.test'), init);
    }
  }
  vi.stubGlobal('Request', PageRequest);
  vi.stubGlobal('fetch', (request: Request) => {
    sent.push(request);
    return fetch(request);
  });
  return { sent, fetch };
});

function question(token: string): ConfirmQuestion {
  return {
    token,
    machines: 152,
    fleet: 474,
    reasons: [{ kind: 'loosens', machines: 152, detail: 'The rule no longer blocks on 152 Macs' }],
  };
}

function asks(token: string): Response {
  const body = { title: 'Conflict', status: 409, detail: '', confirm: question(token) };
  return new Response(JSON.stringify(body), {
    status: 409,
    headers: { 'content-type': 'application/problem+json' },
  });
}

const done = () => new Response(null, { status: 204 });
const rule = { id: 7, etag: '"v1"' };

afterEach(() => {
  sent.length = 0;
  fetch.mockReset();
  onQuestion();
});

describe('a change that the server asks about', () => {
  it('is repeated with the answer and the same version', async () => {
    const ask = vi.fn(() => Promise.resolve(true));
    onQuestion(ask);
    fetch.mockResolvedValueOnce(asks('152-a')).mockResolvedValueOnce(done());
    await removeRule(rule, 'why');
    expect(ask).toHaveBeenCalledExactlyOnceWith(question('152-a'));
    expect(sent.map(({ url }) => new URL(url).search)).toEqual([
      '?reason=why',
      '?reason=why&confirm=152-a',
    ]);
    expect(sent.map(({ headers }) => headers.get('if-match'))).toEqual(['"v1"', '"v1"']);
    expect(sent[1]?.method).toBe('DELETE');
  });

  it('is asked about again when the numbers have changed', async () => {
    onQuestion(() => Promise.resolve(true));
    fetch
      .mockResolvedValueOnce(asks('152-a'))
      .mockResolvedValueOnce(asks('153-b'))
      .mockResolvedValueOnce(done());
    await removeRule(rule, 'why');
    expect(sent.map(({ url }) => new URL(url).search)).toEqual([
      '?reason=why',
      '?reason=why&confirm=152-a',
      '?reason=why&confirm=153-b',
    ]);
  });

  it('is not made when the answer is no, or nobody is there to answer', async () => {
    for (const answer of [() => Promise.resolve(false), undefined]) {
      onQuestion(answer);
      fetch.mockResolvedValueOnce(asks('152-a'));
      const refused = removeRule(rule, 'why');
      await expect(refused).rejects.toBeInstanceOf(ApiError);
      await expect(refused).rejects.toMatchObject({ message: 'Nothing was changed.' });
    }
    expect(sent).toHaveLength(2);
  });

  it('is asked about only where there is a question', async () => {
    const ask = vi.fn(() => Promise.resolve(true));
    onQuestion(ask);
    const taken = JSON.stringify({
      title: 'Conflict',
      status: 409,
      detail: 'There is one already',
    });
    fetch.mockResolvedValueOnce(new Response(taken, { status: 409 }));
    await expect(removeRule(rule, 'why')).rejects.toMatchObject({
      message: 'There is one already',
    });
    expect(ask).not.toHaveBeenCalled();
  });
});
