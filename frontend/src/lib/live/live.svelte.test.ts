import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Live } from './live.svelte.ts';

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
let heard: string[];
let lost: number;
let live: Live;
const newest = () => sockets.at(-1) as FakeSocket;
const hello = { type: 'hello', at: '2026-11-23T12:00:00Z' };

beforeEach(() => {
  vi.useFakeTimers();
  sockets = [];
  heard = [];
  lost = 0;
  live = new Live({
    connect: () => {
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

  it('has pages read again what may have changed while it was not open yet', () => {
    newest().say(hello);
    newest().say(hello);
    expect(heard).toEqual(['lagged', 'hello', 'hello']);
  });

  it('connects again after a loss, and then has pages read what they missed', () => {
    newest().say(hello);
    heard = [];
    newest().die();
    expect(live.status).toBe('waiting');
    vi.advanceTimersByTime(500);
    expect(sockets).toHaveLength(2);
    newest().say(hello);
    expect(heard).toEqual(['lagged', 'hello']);
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

  it('tells a page that began to read before the last news that it lagged', async () => {
    newest().say(hello);
    const late: string[] = [];
    const lastNews = Date.now();
    vi.advanceTimersByTime(10);
    live.on((message) => late.push(`before: ${message.type}`), lastNews);
    live.on((message) => late.push(`after: ${message.type}`), Date.now());
    await Promise.resolve();
    expect(late).toEqual(['before: lagged']);
  });
});
