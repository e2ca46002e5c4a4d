// Keeps a list of machines true to what the live connection tells: one changed machine is read alone, many at once.
import type { Machine } from '../../api/types.ts';
import { replace } from '../../live/merge.ts';
import type { LiveMessage } from '../../live/messages.ts';
import { throttled } from '../../state/timing.ts';

interface Target {
  update: (change: (items: Machine[]) => Machine[]) => void;
  refresh: () => Promise<void>;
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

export interface MachineNews {
  hear: (message: LiveMessage) => void;
  stop: () => void;
}

export function machineNews({ list, complete, read }: Options): MachineNews {
  let changed = new Set<string>();
  let all = false;

  const catchUp = throttled(() => {
    const shown = new Set(list().items.map((machine) => machine.machine_id));
    const ids = [...changed].filter((id) => shown.has(id));
    // Only the server knows where a machine that is not shown belongs: maybe in the part that is not loaded.
    const elsewhere = complete() && list().next !== null;
    const unclear = !elsewhere && ids.length < changed.size;
    const everything = all || unclear || ids.length > FEW;
    changed = new Set();
    all = false;
    if (everything) void list().refresh();
    else for (const id of ids) void readOne(id);
  }, EVERY);

  async function readOne(id: string) {
    const target = list();
    const machine = await read(id).catch(() => null); // the next message tries again
    if (machine) target.update((items) => replace(items, machine, (item) => item.machine_id));
  }

  function hear(message: LiveMessage) {
    const enrolled = message.type === 'machine' && message.change === 'enrolled';
    if (message.type === 'lagged' || message.type === 'rule' || enrolled) all = true;
    else if (message.type === 'sync' || message.type === 'machine') changed.add(message.machine_id);
    else return;
    catchUp();
  }

  return { hear, stop: catchUp.cancel };
}
