// The open connection to /api/v1/live: connects, reconnects with growing pauses, hands messages to whoever listens.
// It does not know what messages mean for a page (merge.ts does).
import { reconnectDelay } from './backoff.ts';
import { lagged, parseLiveMessage, type LiveMessage } from './messages.ts';

/** `waiting`: the connection is lost and the next try is planned. */
export type LiveStatus = 'off' | 'connecting' | 'open' | 'waiting';

/** Milliseconds that the server's answer may be on its way: what is told twice does no harm. */
const SLACK = 1000;
/** Messages that are kept for pages. */
const KEPT = 200;

type Listener = (message: LiveMessage) => void;

interface LiveOptions {
  /** Opens a socket that begins with what was told in the last `ago` seconds; in the browser a WebSocket. */
  connect: (ago: number) => WebSocket;
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
  /** From then on (milliseconds since 1970) every message is in `#recent`; at first, from when they are wanted. */
  #heardSince = Infinity;
  /** When the last message came; null before the first one. */
  #heardUntil: number | null = null;
  /** The last messages and when they came, for pages that began to read before them. */
  #recent: { at: number; message: LiveMessage }[] = [];

  constructor(options: LiveOptions) {
    this.#options = options;
  }

  /**
   * Calls `listener` with every message until the returned function is called. `since` (milliseconds since 1970) is when
   * the listener's page began to read: what was told between then and now is told once more, or that it is not known.
   */
  on(listener: Listener, since: number): () => void {
    this.#listeners = [...this.#listeners, listener];
    const missed = this.#told(since);
    queueMicrotask(() => {
      for (const message of missed) if (this.#listeners.includes(listener)) listener(message);
    });
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
    const from = this.#heardUntil ?? this.#heardSince;
    const away = Math.max(0, Date.now() - from); // nobody reads yet: nothing is missed
    const socket = this.#options.connect((away + SLACK) / 1000);
    this.#socket = socket;
    socket.onmessage = (message: MessageEvent<unknown>) => this.#received(message.data);
    socket.onclose = () => this.#closed();
  }

  #received(data: unknown): void {
    const message = typeof data === 'string' ? parseLiveMessage(data) : null;
    if (message === null) return;
    // Only the first message proves a connection: a refusal also begins with an open socket.
    if (this.status === 'connecting') {
      this.#attempt = 0;
      this.status = 'open';
    }
    this.#heardUntil = Date.now();
    this.#tell(message);
  }

  #closed(): void {
    this.#drop();
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
    if (message.type !== 'hello') this.#keep(message);
    for (const listener of this.#listeners) listener(message);
  }

  #keep(message: LiveMessage): void {
    this.#recent.push({ at: Date.now(), message });
    if (this.#recent.length > KEPT) this.#heardSince = (this.#recent.shift()?.at ?? 0) + 1;
  }

  /** What was told since a moment. Before the first connection that is nothing: it will ask for it. */
  #told(since: number): LiveMessage[] {
    if (this.#heardUntil === null) {
      this.#heardSince = Math.min(this.#heardSince, since);
      return [];
    }
    if (since < this.#heardSince) return [lagged()];
    return this.#recent.filter(({ at }) => at >= since).map(({ message }) => message);
  }
}
