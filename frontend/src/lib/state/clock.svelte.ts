// The present time for texts such as "5 min ago", updated while one is shown.
import { createSubscriber } from 'svelte/reactivity';

const EVERY = 20_000;

class Clock {
  readonly #subscribe = createSubscriber((update) => {
    const timer = setInterval(update, EVERY);
    return () => clearInterval(timer);
  });

  /** Milliseconds since 1970; reading it in a template keeps that up to date. */
  get now(): number {
    this.#subscribe();
    return Date.now();
  }
}

export const clock = new Clock();
