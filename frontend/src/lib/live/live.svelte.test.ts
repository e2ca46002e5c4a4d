import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Live } from './live.svelte.ts';
import type { LiveMessage } from './messages.ts';

/** A socket whose other end is the test. */
class FakeSocket {
  onmessage: ((message: { data: unknown }) => void) | null = null;
  onclose: (() => void) | null = null;
  close = vi.fn();
  say(message: object) {
    this.onmessage?.({ data: JSON.stringify(message) });
  }
  die() {
    this.onclose?.();
  }
}

let sockets: FakeSocket[];
/** The seconds to replay of each socket. */
let asked: number[];
let heard: string[];
let lost: number;
let live: Live;
const newest = () => sockets.at(-1) as FakeSocket;
const hello = { type: 'hello', at: '2026-11-23T12:00:00Z' };

beforeEach(() => {
  vi.useFakeTimers();
  sockets = [];
  asked = [];
  heard = [];
  lost = 0;
  live = new Live({
    connect: (ago) => {
      asked.push(ago);
      sockets.push(new FakeSocket());
      return newest() as unknown as WebSocket;
    },
    lost: () => (lost += 1),
  });
  live.on((message) => heard.push(message.type), Date.now());
  live.start();
});

afterEach(() => {
  live.stop();
  vi.useRealTimers();
});

describe('the live connection', () => {
  it('is open from the first message on', () => {
    expect(live.status).toBe('connecting');
    newest().say(hello);
    expect(live.status).toBe('open');
    expect(heard).toContain('hello');
  });

  it('does not have pages read twice what they have just read', () => {
    newest().say(hello);
    newest().say(hello);
    expect(heard).toEqual(['hello', 'hello']);
  });

  it('begins with what was told since the pages began to read', () => {
    live.stop();
    live.on(() => undefined, Date.now() - 3000);
    live.start();
    expect(asked.at(-1)).toBe(4);
  });

  it('connects again after a loss, and begins with what was told since the last message', () => {
    newest().say(hello);
    vi.advanceTimersByTime(7000);
    newest().say(hello);
    vi.advanceTimersByTime(2000);
    newest().die();
    expect(live.status).toBe('waiting');
    vi.advanceTimersByTime(500);
    expect(sockets).toHaveLength(2);
    expect(asked.at(-1)).toBeGreaterThanOrEqual(3);
    expect(asked.at(-1)).toBeLessThan(4);
    newest().say({ type: 'lagged', at: hello.at });
    expect(heard.at(-1)).toBe('lagged');
  });

  it('waits longer each time it is refused, and asks whether the login holds', () => {
    newest().die();
    vi.advanceTimersByTime(500);
    newest().die();
    vi.advanceTimersByTime(499);
    expect(sockets).toHaveLength(2);
    vi.advanceTimersByTime(501);
    expect(sockets).toHaveLength(3);
    expect(lost).toBe(2);
  });

  it('does not wait when the network comes back', () => {
    for (let i = 0; i < 6; i += 1) {
      newest().die();
      live.hurry();
    }
    expect(sockets).toHaveLength(7);
  });

  it('stays quiet after it was stopped', () => {
    const socket = newest();
    live.stop();
    socket.say(hello);
    vi.advanceTimersByTime(60_000);
    expect(sockets).toHaveLength(1);
    expect(heard).toEqual([]);
    expect(live.status).toBe('off');
    expect(socket.close).toHaveBeenCalledOnce();
  });

  it('forgets a listener that left', () => {
    const off = live.on(() => heard.push('second'), Date.now());
    off();
    newest().say(hello);
    expect(heard).not.toContain('second');
  });

  const news = (machine_id: string) => ({ type: 'sync', at: hello.at, machine_id });

  it('tells a page what came while it was read', async () => {
    newest().say(hello);
    newest().say(news('early'));
    vi.advanceTimersByTime(10);
    const began = Date.now();
    vi.advanceTimersByTime(10);
    newest().say(news('late'));
    vi.advanceTimersByTime(10);
    const late: string[] = [];
    const hear = (name: string) => (message: LiveMessage) =>
      late.push(`${name}: ${'machine_id' in message ? message.machine_id : message.type}`);
    live.on(hear('before'), began);
    live.on(hear('after'), Date.now());
    await Promise.resolve();
    expect(late).toEqual(['before: late']);
  });

  it('has a page read again when more came than is kept', async () => {
    newest().say(hello);
    const began = Date.now();
    for (let number = 0; number < 300; number += 1) {
      vi.advanceTimersByTime(1);
      newest().say(news(String(number)));
    }
    const late: string[] = [];
    live.on((message) => late.push(message.type), began);
    await Promise.resolve();
    expect(late).toEqual(['lagged']);
  });
});
