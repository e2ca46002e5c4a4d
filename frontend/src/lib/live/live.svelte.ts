// The open connection to /api/v1/live: connects, reconnects with growing pauses, passes messages to listeners.
// The meaning of messages for a page is in merge.ts.
import { reconnectDelay } from './backoff.ts';
import { lagged, parseLiveMessage, type LiveMessage } from './messages.ts';

/** `waiting`: the connection is lost and the next attempt is scheduled. */
export type LiveStatus = 'off' | 'connecting' | 'open' | 'waiting';

/** Milliseconds to replay in addition, for the network delay: duplicate messages do no harm. */
const SLACK = 1000;
/** Messages that are kept for pages. */
const KEPT = 200;

type Listener = (message: LiveMessage) => void;

interface LiveOptions {
  /** Opens a socket that starts with the messages of the last `ago` seconds; in the browser a WebSocket. */
  connect: (ago: number) => WebSocket;
  /** Called when a connection was lost: the session may have ended. */
  lost: () => void;
}

export class Live {
  status = $state<LiveStatus>('off');

  readonly #options: LiveOptions;
  #listeners: readonly Listener[] = [];
  #socket: WebSocket | null = null;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #attempt = 0;
  /** `#recent` is complete from this time on (ms since 1970); before the first connection, the earliest time needed. */
  #heardSince = Infinity;
  /** When the last message came; null before the first one. */
  #heardUntil: number | null = null;
  /** The last messages with their times, for pages that started to load before them. */
  #recent: { at: number; message: LiveMessage }[] = [];

  constructor(options: LiveOptions) {
    this.#options = options;
  }

  /**
   * Calls `listener` with every message until the returned function is called. `since` (milliseconds since 1970) is when
   * the listener's page started to load: messages since then are passed again, or `lagged` if they are not known.
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

  /** Ends a pause: the network is back, or the page is visible again. */
  hurry(): void {
    if (this.status !== 'waiting') return;
    clearTimeout(this.#timer);
    this.#open();
  }

  #open(): void {
    this.status = 'connecting';
    const from = this.#heardUntil ?? this.#heardSince;
    const away = Math.max(0, Date.now() - from); // no listener yet: nothing is missed
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

  /** Closes the socket without further events. */
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

  /** The messages since a time. Before the first connection there are none: it will request them. */
  #told(since: number): LiveMessage[] {
    if (this.#heardUntil === null) {
      this.#heardSince = Math.min(this.#heardSince, since);
      return [];
    }
    if (since < this.#heardSince) return [lagged()];
    return this.#recent.filter(({ at }) => at >= since).map(({ message }) => message);
  }
}
