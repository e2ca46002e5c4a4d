// A list read page by page: what is shown, what is being read, what went wrong. Knows nothing of its rows but their key.
import { asApiError, type ApiError } from '../api/errors.ts';
import type { Page, Position } from '../api/types.ts';
import { appended, refreshed } from '../live/merge.ts';

/** The server's limit for one page. */
const LARGEST_PAGE = 500;

export interface ListSource<T> {
  read: (position: Position) => Promise<Page<T>>;
  key: (item: T) => unknown;
  /** Rows per page. */
  size?: number;
}

export class PagedList<T> {
  items = $state.raw<T[]>([]);
  phase = $state<'loading' | 'ready' | 'failed'>('loading');
  /** Why the list, or its next page, could not be read. */
  error = $state.raw<ApiError | null>(null);
  loadingMore = $state(false);
  next = $state<string | null>(null);

  /** Settles when the first page is there or has failed; never rejects. */
  readonly first: Promise<void>;

  readonly #source: Required<ListSource<T>>;
  #run = 0;

  constructor(source: ListSource<T>) {
    this.#source = { size: 50, ...source };
    this.first = this.reload();
  }

  /** Reads from the start and forgets what was there. */
  async reload(): Promise<void> {
    const run = ++this.#run;
    this.phase = 'loading';
    this.error = null;
    try {
      const page = await this.#source.read({ limit: this.#source.size });
      if (run === this.#run) this.#show(page);
    } catch (thrown) {
      if (run !== this.#run) return;
      this.error = asApiError(thrown);
      this.phase = 'failed';
    }
  }

  /** Reads the next page below the rows shown. */
  async more(): Promise<void> {
    const cursor = this.next;
    if (cursor === null || this.loadingMore) return;
    const run = this.#run;
    this.loadingMore = true;
    this.error = null;
    try {
      const page = await this.#source.read({ cursor, limit: this.#source.size });
      if (run === this.#run) this.#append(page);
    } catch (thrown) {
      if (run === this.#run) this.error = asApiError(thrown);
    } finally {
      this.loadingMore = false;
    }
  }

  /** Reads again what is shown without hiding it; a failure leaves the rows as they are. */
  async refresh(): Promise<void> {
    if (this.phase !== 'ready') return this.reload();
    const run = this.#run;
    const limit = Math.min(LARGEST_PAGE, Math.max(this.#source.size, this.items.length));
    try {
      const page = await this.#source.read({ limit });
      if (run === this.#run) this.#show(refreshed(this.items, page, this.next, this.#source.key));
    } catch (thrown) {
      if (run === this.#run) this.error = asApiError(thrown);
    }
  }

  /** Changes the rows shown, for news that arrived otherwise. */
  update(change: (items: T[]) => T[]): void {
    if (this.phase === 'ready') this.items = change(this.items);
  }

  #show(page: Page<T>): void {
    this.items = page.items;
    this.next = page.next_cursor;
    this.error = null;
    this.phase = 'ready';
  }

  #append(page: Page<T>): void {
    this.items = appended(this.items, page.items, this.#source.key);
    this.next = page.next_cursor;
  }
}
