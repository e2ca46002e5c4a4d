// The open connection to /api/v1/live: connects, reconnects with growing pauses, hands messages to whoever listens.
// It does not know what messages mean for a page (merge.ts does).
import { reconnectDelay } from './backoff.ts';
import { lagged, parseLiveMessage, type LiveMessage } from './messages.ts';

/** `waiting`: the connection is lost and the next try is planned. */
export type LiveStatus = 'off' | 'connecting' | 'open' | 'waiting';

type Listener = (message: LiveMessage) => void;

export interface LiveOptions {
  /** Opens a socket; in the browser `() => new WebSocket(…)`. */
  connect: () => WebSocket;
  /** Called when a connection could not be kept: the login may be gone. */
  lost: () => void;
}

export class Live {
  status = $state<LiveStatus>('off');

  readonly #options: LiveOptions;
  #listeners: readonly Listener[] = [];
  #socket: WebSocket | null = null;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #attempt = 0;
  /** Before the first message too: something may have happened since the pages were read. */
  #missedSome = true;
  #lastNews = 0;

  constructor(options: LiveOptions) {
    this.#options = options;
  }

  /**
   * Calls `listener` with every message until the returned function is called. `since` (milliseconds since 1970) is when
   * the listener's page began to read: if anything was told between then and now, the listener is told that it lagged.
   */
  on(listener: Listener, since: number): () => void {
    this.#listeners = [...this.#listeners, listener];
    if (this.#lastNews >= since) {
      queueMicrotask(() => this.#listeners.includes(listener) && listener(lagged()));
    }
    return () => {
      this.#listeners = this.#listeners.filter((other) => other !== listener);
    };
  }

  /** Connects, and stays connected until `stop`. */
  start(): void {
    if (this.status === 'off') this.#open();
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.status = 'off';
    this.#missedSome = true;
    this.#drop();
  }

  /** Ends a pause: the network is back, or someone looks at the page again. */
  hurry(): void {
    if (this.status !== 'waiting') return;
    clearTimeout(this.#timer);
    this.#open();
  }

  #open(): void {
    this.status = 'connecting';
    const socket = this.#options.connect();
    this.#socket = socket;
    socket.onmessage = (message: MessageEvent<unknown>) => this.#received(message.data);
    socket.onclose = () => this.#closed();
  }

  #received(data: unknown): void {
    const message = typeof data === 'string' ? parseLiveMessage(data) : null;
    if (message === null) return;
    if (this.status === 'connecting') this.#welcomed();
    this.#tell(message);
  }

  /** Only the first message proves a connection: a refusal also begins with an open socket. */
  #welcomed(): void {
    this.#attempt = 0;
    this.status = 'open';
    if (this.#missedSome) this.#tell(lagged());
    this.#missedSome = false;
  }

  #closed(): void {
    this.#drop();
    this.#missedSome = true;
    this.status = 'waiting';
    this.#timer = setTimeout(() => this.#open(), reconnectDelay(this.#attempt, Math.random()));
    this.#attempt += 1;
    this.#options.lost();
  }

  /** Forgets the socket without hearing from it again. */
  #drop(): void {
    const socket = this.#socket;
    if (!socket) return;
    this.#socket = null;
    socket.onmessage = socket.onclose = null;
    socket.close();
  }

  #tell(message: LiveMessage): void {
    if (message.type !== 'hello') this.#lastNews = Date.now();
    for (const listener of this.#listeners) listener(message);
  }
}
