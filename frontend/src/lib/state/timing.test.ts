import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { briefly, debounced, throttled } from './timing.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

describe('throttled', () => {
  it('runs at once, then once for all calls meanwhile', () => {
    const action = vi.fn();
    const call = throttled(action, 100);
    call();
    call();
    call();
    expect(action).toHaveBeenCalledTimes(1);
    vi.advanceTimersByTime(100);
    expect(action).toHaveBeenCalledTimes(2);
    vi.advanceTimersByTime(1000);
    expect(action).toHaveBeenCalledTimes(2);
    call();
    expect(action).toHaveBeenCalledTimes(3);
  });

  it('may run less often at times', () => {
    const action = vi.fn();
    let pause = 100;
    const call = throttled(action, () => pause);
    call();
    pause = 500; // counts from the next run on
    call();
    vi.advanceTimersByTime(100);
    expect(action).toHaveBeenCalledTimes(2);
    call();
    vi.advanceTimersByTime(499);
    expect(action).toHaveBeenCalledTimes(2);
    vi.advanceTimersByTime(1);
    expect(action).toHaveBeenCalledTimes(3);
  });

  it('does nothing more once cancelled', () => {
    const action = vi.fn();
    const call = throttled(action, 100);
    call();
    call();
    call.cancel();
    vi.advanceTimersByTime(1000);
    expect(action).toHaveBeenCalledTimes(1);
  });
});

describe('debounced', () => {
  it('runs with the last value after a pause', () => {
    const action = vi.fn();
    const call = debounced(action, 100);
    call('a');
    vi.advanceTimersByTime(99);
    call('b');
    vi.advanceTimersByTime(100);
    expect(action.mock.calls).toEqual([['b']]);
  });
});

describe('briefly', () => {
  it('waits for what is quick', async () => {
    const seen: string[] = [];
    await briefly(Promise.resolve().then(() => seen.push('quick')));
    expect(seen).toEqual(['quick']);
  });

  it('does not wait for what is slow', async () => {
    const done = vi.fn();
    void briefly(new Promise(() => undefined), 150).then(done);
    await vi.advanceTimersByTimeAsync(150);
    expect(done).toHaveBeenCalledOnce();
  });
});
