// The open connection to /api/v1/live: connects, reconnects with growing pauses, hands messages to whoever listens, and
// tells the server what the pages show. It does not know what messages mean for a page (merge.ts does).
import { reconnectDelay } from './backoff.ts';
import { lagged, parseLiveMessage, type LiveMessage } from './messages.ts';
import { same, union, watchMessage, type Shown } from './watch.ts';

/** `waiting`: the connection is lost and the next attempt is scheduled. */
export type LiveStatus = 'off' | 'connecting' | 'open' | 'waiting';

/** Milliseconds to replay in addition, for the network delay: duplicate messages do no harm. */
const SLACK = 1000;
/** Messages that are kept for pages. */
const KEPT = 200;
/** Machines that sync within a second from which on pages read less often: those of a fleet of some 30,000. */
const MANY = 50;
/** Milliseconds between two reads of a page then. */
const RARELY = 10_000;

/** `replayed`: it was told while the listener's page was being read, and may be in it already. */
type Listener = (message: LiveMessage, replayed: boolean) => void;

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
  /** The server process that the last connection led to. */
  #process: string | null = null;
  /** Numbers of that process's messages that must not be counted twice. */
  #numbers: number[] = [];
  /** What the pages show. */
  #shown: readonly Shown[] = [];
  /** When the first page began to read what the server was not yet told of (milliseconds since 1970). */
  #untold = Infinity;
  /** What the server was told on this connection. */
  #told: Shown | null = null;
  #tellLater = false;
  /** Machines that synced within the last second that was told of. */
  #machines = 0;

  constructor(options: LiveOptions) {
    this.#options = options;
  }

  /**
   * Calls `listener` with every message until the returned function is called. `since` (milliseconds since 1970) is when
   * the listener's page started to load: messages since then are passed again, or `lagged` if they are not known.
   */
  on(listener: Listener, since: number): () => void {
    this.#listeners = [...this.#listeners, listener];
    const missed = this.#since(since);
    queueMicrotask(() => {
      for (const message of missed) {
        if (this.#listeners.includes(listener)) listener(message, true);
      }
    });
    return () => {
      this.#listeners = this.#listeners.filter((other) => other !== listener);
    };
  }

  /**
   * Has the server tell what concerns the shown machines or events one by one, until the returned function is called.
   * `since` is when the page began to read them.
   */
  show(shown: Shown, since: number): () => void {
    this.#shown = [...this.#shown, shown];
    this.#untold = Math.min(this.#untold, since);
    this.#changed();
    return () => {
      this.#shown = this.#shown.filter((other) => other !== shown);
      this.#changed();
    };
  }

  /** How many milliseconds a page waits until it reads again because of news: longer while many machines sync. */
  pause(milliseconds: number): number {
    return this.#machines < MANY ? milliseconds : Math.max(milliseconds, RARELY);
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
    const socket = this.#options.connect(this.#ago());
    this.#socket = socket;
    socket.onmessage = (message: MessageEvent<unknown>) => this.#received(message.data);
    socket.onclose = () => this.#closed();
  }

  /** For how many seconds nothing was heard; nobody reads yet: nothing is missed. */
  #ago(): number {
    const from = this.#heardUntil ?? this.#heardSince;
    return (Math.max(0, Date.now() - from) + SLACK) / 1000;
  }

  #received(data: unknown): void {
    const message = typeof data === 'string' ? parseLiveMessage(data) : null;
    if (message === null || this.#isKnown(message)) return;
    // Only the first message proves a connection: a refusal also begins with an open socket.
    if (this.status === 'connecting') {
      this.#attempt = 0;
      this.status = 'open';
      this.#untold = Math.min(this.#untold, this.#heardUntil ?? this.#heardSince);
      this.#tellShown();
    }
    this.#heardUntil = Date.now();
    this.#tell(message);
    if (message.type === 'hello') this.#arrived(message.process);
  }

  /** Each process numbers its messages separately, so another one may repeat what this page has already received. */
  #arrived(process: string): void {
    const moved = this.#process !== null && this.#process !== process;
    this.#process = process;
    if (!moved) return;
    this.#numbers = [];
    this.#tell(lagged());
  }

  #isKnown(message: LiveMessage): boolean {
    const number = message.type === 'event' ? message.number : null;
    if (typeof number !== 'number') return false;
    if (this.#numbers.includes(number)) return true;
    this.#numbers = [...this.#numbers.slice(-KEPT), number];
    return false;
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
    this.#socket = this.#told = null;
    socket.onmessage = socket.onclose = null;
    socket.close();
  }

  /** Tells the server once for all changes that a page, or going to another one, makes at the same time. */
  #changed(): void {
    if (this.#tellLater) return;
    this.#tellLater = true;
    queueMicrotask(() => {
      this.#tellLater = false;
      if (this.status === 'open') this.#tellShown();
    });
  }

  #tellShown(): void {
    const shown = union(this.#shown);
    const ago = Math.max(0, Date.now() - this.#untold);
    this.#untold = Infinity;
    if (this.#told && same(shown, this.#told)) return;
    this.#told = shown;
    this.#socket?.send(watchMessage(shown, (ago + SLACK) / 1000));
  }

  #tell(message: LiveMessage): void {
    if (message.type !== 'hello') this.#keep(message);
    if (message.type === 'syncs') this.#machines = message.machines;
    for (const listener of this.#listeners) listener(message, false);
  }

  #keep(message: LiveMessage): void {
    this.#recent.push({ at: Date.now(), message });
    if (this.#recent.length > KEPT) this.#heardSince = (this.#recent.shift()?.at ?? 0) + 1;
  }

  /** The messages since a time. Before the first connection there are none: it will request them. */
  #since(since: number): LiveMessage[] {
    if (this.#heardUntil === null) {
      this.#heardSince = Math.min(this.#heardSince, since);
      return [];
    }
    if (since < this.#heardSince) return [lagged()];
    return this.#recent.filter(({ at }) => at >= since).map(({ message }) => message);
  }
}
