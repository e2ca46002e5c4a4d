// Keeps a list of machines up to date with live messages: a changed machine is loaded alone, many together.
import type { Machine } from '../../api/types.ts';
import { replace } from '../../live/merge.ts';
import type { LiveMessage } from '../../live/messages.ts';
import { throttled } from '../../state/timing.ts';

interface Target {
  update: (change: (items: Machine[]) => Machine[]) => void;
  refresh: () => Promise<void>;
  /** By host name, as the server orders them. */
  readonly items: Machine[];
  /** Where the rows go on below those shown; null at the end of the list. */
  readonly next: string | null;
}

interface Options {
  list: () => Target;
  /** Whether every machine belongs to the list. */
  complete: () => boolean;
  read: (id: string) => Promise<Machine>;
}

/** Above this number of changed machines the whole list is read again. */
const FEW = 5;
/** Milliseconds between two reads. */
const EVERY = 1000;
/** Milliseconds between two reads of a list because of machines that it does not show: one may belong to it now. */
const SELDOM = 10_000;
/** The pause after a read of such a list is at least so many times as long as the read before. */
const PAUSE = 200;
/** Milliseconds of the longest pause. */
const LONGEST = 60_000;

interface MachineUpdates {
  hear: (message: LiveMessage) => void;
  stop: () => void;
}

export function machineUpdates({ list, complete, read }: Options): MachineUpdates {
  /** Host names of machines that changed, by id. */
  let changed = new Map<string, string>();
  let all = false;

  const catchUp = throttled(() => {
    const shown = new Map(list().items.map((machine) => [machine.machine_id, machine.hostname]));
    const ids = [...changed.keys()].filter((id) => shown.has(id));
    const misplaced = [...changed].some(([id, name]) =>
      shown.has(id) ? name !== '' && name !== shown.get(id) : !isFurtherDown(name),
    );
    const everything = all || misplaced || ids.length > FEW;
    changed = new Map();
    all = false;
    if (everything) void list().refresh();
    else for (const id of ids) void readOne(id);
  }, EVERY);

  /** How long the server took to find the machines of the list: a search in a large fleet costs it much. */
  let took = 0;
  async function search() {
    const begun = performance.now();
    await list().refresh();
    took = performance.now() - begun;
  }

  const others = throttled(
    () => void search(),
    () => Math.min(Math.max(SELDOM, PAUSE * took), LONGEST),
  );

  /** Whether a machine that is not shown belongs below the rows shown; in a filtered list only the server knows. */
  function isFurtherDown(hostname: string): boolean {
    const { items, next } = list();
    return complete() && next !== null && hostname > (items.at(-1)?.hostname ?? '');
  }

  async function readOne(id: string) {
    const target = list();
    const machine = await read(id).catch(() => null); // the next message tries again
    if (!machine) return;
    const shown = target.items.find((item) => item.machine_id === id);
    if (shown && shown.hostname !== machine.hostname) return void target.refresh();
    target.update((items) => replace(items, machine, (item) => item.machine_id));
  }

  function hear(message: LiveMessage) {
    if (message.type === 'syncs') {
      if (message.changed > 0 && (!complete() || list().next !== null)) others();
      return;
    }
    const enrolled = message.type === 'machine' && message.change === 'enrolled';
    if (message.type === 'lagged' || message.type === 'rule' || enrolled) all = true;
    else if (message.type === 'sync' || message.type === 'machine') {
      changed.set(message.machine_id, message.hostname);
    } else return;
    catchUp();
  }

  return {
    hear,
    stop: () => {
      catchUp.cancel();
      others.cancel();
    },
  };
}
