// A list read page by page: what is shown, loading state, errors. It knows only the key of its rows.
import { asApiError, type ApiError } from '../api/errors.ts';
import type { Page, Position } from '../api/types.ts';
import { appended, refreshed } from '../live/merge.ts';

/** The server's limit for one page. */
const LARGEST_PAGE = 500;

interface ListSource<T> {
  read: (position: Position) => Promise<Page<T>>;
  key: (item: T) => unknown;
  /** Rows per page. */
  size?: number;
}

type Change<T> = (items: T[]) => T[];

export class PagedList<T> {
  items = $state.raw<T[]>([]);
  phase = $state<'loading' | 'ready' | 'failed'>('loading');
  /** Why the list, or its next page, could not be read. */
  error = $state.raw<ApiError | null>(null);
  loadingMore = $state(false);
  next = $state<string | null>(null);

  /** Settles when the first page is there or has failed; never rejects. */
  readonly first: Promise<void>;
  /** When loading started, in milliseconds since 1970: later changes may be missing in the rows. */
  readonly startedAt = Date.now();
  /** When the newest of the rows began to be read. */
  readAt = this.startedAt;

  readonly #source: Required<ListSource<T>>;
  /** Counts reloads: responses to earlier ones are ignored. */
  #epoch = 0;
  /** Numbers reads from the start, so that a slow response never replaces a newer one. */
  #asked = 0;
  #shown = 0;
  /** Changes that arrived during a request, and may be missing in its response. */
  #news: Change<T>[] = [];
  #reading = 0;

  constructor(source: ListSource<T>) {
    this.#source = { size: 50, ...source };
    this.first = this.reload();
  }

  /** Loads from the start and clears the list. */
  async reload(): Promise<void> {
    const epoch = ++this.#epoch;
    this.phase = 'loading';
    this.error = null;
    try {
      await this.#readStart(epoch, this.#source.size, (page) => page);
    } catch (thrown) {
      if (epoch !== this.#epoch) return;
      this.error = asApiError(thrown);
      this.phase = 'failed';
    }
  }

  /** Reads again what is shown without hiding it; a failure leaves the rows as they are. */
  async refresh(): Promise<void> {
    if (this.phase !== 'ready') return this.reload();
    const epoch = this.#epoch;
    const limit = Math.min(LARGEST_PAGE, Math.max(this.#source.size, this.items.length));
    try {
      await this.#readStart(epoch, limit, (page) =>
        refreshed(this.items, page, this.next, this.#source.key),
      );
    } catch (thrown) {
      if (epoch === this.#epoch) this.error = asApiError(thrown);
    }
  }

  /** Reads the next page below the rows shown. */
  async more(): Promise<void> {
    const cursor = this.next;
    if (cursor === null || this.loadingMore) return;
    const epoch = this.#epoch;
    this.loadingMore = true;
    this.error = null;
    try {
      const page = await this.#read({ cursor, limit: this.#source.size });
      if (epoch !== this.#epoch) return;
      const { next_cursor } = page;
      this.#show({ items: appended(this.items, page.items, this.#source.key), next_cursor });
    } catch (thrown) {
      if (epoch === this.#epoch) this.error = asApiError(thrown);
    } finally {
      this.loadingMore = false;
    }
  }

  /** Changes the rows shown, for live messages; the change must be idempotent. */
  update(change: Change<T>): void {
    if (this.#reading > 0) this.#news.push(change);
    if (this.phase === 'ready') this.items = change(this.items);
  }

  async #readStart(epoch: number, limit: number, merge: (page: Page<T>) => Page<T>) {
    const ticket = ++this.#asked;
    const page = await this.#read({ limit });
    if (epoch !== this.#epoch || ticket < this.#shown) return;
    this.#shown = ticket;
    this.#show(merge(page));
  }

  async #read(position: Position): Promise<Page<T>> {
    if (this.#reading === 0) this.#news = [];
    this.#reading += 1;
    this.readAt = Date.now();
    try {
      return await this.#source.read(position);
    } finally {
      this.#reading -= 1;
    }
  }

  #show(page: Page<T>): void {
    this.items = this.#news.reduce((items, change) => change(items), page.items);
    this.next = page.next_cursor;
    this.error = null;
    this.phase = 'ready';
  }
}
