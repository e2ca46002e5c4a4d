// One thing read from the server: its value, or why it is not there. The list form is paged-list.svelte.ts.
import { asApiError, type ApiError } from '../api/errors.ts';

export class Resource<T> {
  value = $state.raw<T | null>(null);
  error = $state.raw<ApiError | null>(null);

  /** Settles when the first read is done or has failed; never rejects. */
  readonly first: Promise<void>;
  /** When loading started, in milliseconds since 1970: later changes may be missing in the value. */
  readonly startedAt = Date.now();

  readonly #read: () => Promise<T>;
  #run = 0;

  constructor(read: () => Promise<T>) {
    this.#read = read;
    this.first = this.refresh();
  }

  /** Loads again; the present value stays until the response arrives. */
  async refresh(): Promise<void> {
    const run = ++this.#run;
    try {
      const value = await this.#read();
      if (run !== this.#run) return;
      this.value = value;
      this.error = null;
    } catch (thrown) {
      if (run === this.#run) this.error = asApiError(thrown);
    }
  }

  /** Reads again after a failure, showing that it is being read. */
  retry(): Promise<void> {
    this.error = null;
    return this.refresh();
  }
}
