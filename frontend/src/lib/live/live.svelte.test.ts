import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Watch } from '../api/types.ts';
import { Live } from './live.svelte.ts';
import type { LiveMessage } from './messages.ts';

/** A socket whose other end is the test. */
class FakeSocket {
  onmessage: ((message: { data: unknown }) => void) | null = null;
  onclose: (() => void) | null = null;
  close = vi.fn();
  send = vi.fn<(text: string) => void>();
  /** What it was told that the pages show. */
  get told() {
    return this.send.mock.calls.map(([text]) => JSON.parse(text) as Watch);
  }
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
const hello = { type: 'hello', at: '2026-11-23T12:00:00Z', process: 'one' };

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

  it('has pages read less often while many machines sync', () => {
    const syncs = (machines: number) =>
      newest().say({
        ...hello,
        type: 'syncs',
        machines,
        started: 0,
        finished: 0,
        refused: 0,
        changed: 1,
        kinds: {},
      });
    newest().say(hello);
    expect(live.pause(2000)).toBe(2000);
    syncs(166);
    expect(live.pause(2000)).toBe(10_000);
    expect(live.pause(30_000)).toBe(30_000);
    syncs(49);
    expect(live.pause(2000)).toBe(2000);
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

  it('says what was told while a page was read', async () => {
    newest().say(hello);
    const began = Date.now();
    vi.advanceTimersByTime(10);
    newest().say(news('early'));
    const late: boolean[] = [];
    live.on((_, replayed) => late.push(replayed), began);
    await Promise.resolve();
    newest().say(news('now'));
    expect(late).toEqual([true, false]);
  });

  const count = (number: number) => ({
    type: 'event',
    at: hello.at,
    count: 1,
    number,
    event: null,
  });

  it('counts nothing twice that is told again', () => {
    newest().say(hello);
    newest().say(count(1));
    newest().say(count(2));
    newest().die();
    vi.advanceTimersByTime(500);
    newest().say(hello);
    newest().say(count(1));
    newest().say(count(2));
    newest().say(count(3));
    expect(heard).toEqual(['hello', 'event', 'event', 'hello', 'event']);
  });

  it('reloads pages after a reconnect to another process, whose message numbers are separate', () => {
    newest().say(hello);
    newest().say(count(1));
    newest().die();
    vi.advanceTimersByTime(500);
    newest().say({ ...hello, process: 'two' });
    newest().say(count(1));
    expect(heard).toEqual(['hello', 'event', 'hello', 'lagged', 'event']);
  });
});

describe('what the pages show', () => {
  const settle = () => Promise.resolve();

  it('is told with the first message, and again after each new connection', () => {
    live.show({ machines: ['B', 'A'] }, Date.now());
    expect(newest().told).toEqual([]);
    newest().say(hello);
    expect(newest().told).toMatchObject([{ topics: [], machines: ['A', 'B'] }]);
    vi.advanceTimersByTime(7000);
    newest().die();
    vi.advanceTimersByTime(500);
    newest().say(hello);
    const [again] = newest().told;
    expect(again).toMatchObject({ type: 'watch', machines: ['A', 'B'] });
    expect(again?.ago).toBeGreaterThan(8);
    expect(again?.ago).toBeLessThan(9);
  });

  it('is told when nothing is shown: a new socket would hear all events', () => {
    newest().say(hello);
    expect(newest().told).toMatchObject([{ topics: [], machines: [] }]);
  });

  it('is told once when one page makes room for another', async () => {
    newest().say(hello);
    const leave = live.show({ machines: ['A'] }, Date.now());
    await settle();
    vi.advanceTimersByTime(60_000);
    const began = Date.now();
    vi.advanceTimersByTime(2000);
    leave();
    live.show({ events: true }, began);
    live.show({ machines: ['C'] }, began + 500);
    await settle();
    const told = newest().told;
    expect(told.slice(1)).toMatchObject([
      { topics: [], machines: ['A'] },
      { topics: ['events'], machines: ['C'], ago: 3 },
    ]);
  });

  it('is not told again when it is the same', async () => {
    newest().say(hello);
    live.show({ machines: ['A', 'B'] }, Date.now());
    await settle();
    const leave = live.show({ machines: ['B'] }, Date.now());
    await settle();
    leave();
    await settle();
    expect(newest().told).toHaveLength(2);
  });
});
