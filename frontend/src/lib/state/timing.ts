// Small helpers about time for pages.

/** Waits for a promise, but not longer than `milliseconds`: a page shows its skeleton only when reading is slow. */
export async function briefly(promise: Promise<unknown>, milliseconds = 150): Promise<void> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const timeout = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, milliseconds);
  });
  await Promise.race([promise, timeout]);
  clearTimeout(timer);
}

interface Throttled {
  (): void;
  cancel: () => void;
}

/**
 * Runs `action` at once, then at most every `milliseconds` while calls keep coming; the last call is never lost. A
 * function is asked for them after each run.
 */
export function throttled(action: () => void, milliseconds: number | (() => number)): Throttled {
  let timer: ReturnType<typeof setTimeout> | undefined;
  let again = false;
  const run = () => {
    action();
    again = false;
    timer = setTimeout(
      () => {
        timer = undefined;
        if (again) run();
      },
      typeof milliseconds === 'number' ? milliseconds : milliseconds(),
    );
  };
  const call = () => {
    if (timer === undefined) run();
    else again = true;
  };
  return Object.assign(call, { cancel: () => clearTimeout(timer) });
}

/** Runs `action` with the last value once no other came for `milliseconds`. */
export function debounced<T>(action: (value: T) => void, milliseconds: number) {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const call = (value: T) => {
    clearTimeout(timer);
    timer = setTimeout(() => action(value), milliseconds);
  };
  return Object.assign(call, { cancel: () => clearTimeout(timer) });
}
