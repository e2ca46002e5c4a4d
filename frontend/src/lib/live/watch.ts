// What the pages show, and how the server is told: it then tells about these one by one. Pure.
import type { Watch } from '../api/types.ts';

export interface Shown {
  /** Whether events of all machines are shown. */
  readonly events?: boolean;
  readonly machines?: readonly string[];
}

/** The server's limits. */
const MOST_MACHINES = 500;
const LONGEST_ABSENCE = 3600;
/** Bytes of a message; machine ids may be long. */
const LARGEST = 60_000;

/** All that is shown together, in one order, as far as the server takes it: the first machines. */
export function union(shown: readonly Shown[]): Shown {
  const machines = [...new Set(shown.flatMap((one) => one.machines ?? []))];
  let room = LARGEST;
  const fitting = machines.slice(0, MOST_MACHINES).filter((id) => {
    room -= new TextEncoder().encode(JSON.stringify(id)).length + 1;
    return room > 0;
  });
  return { events: shown.some((one) => one.events), machines: fitting.sort() };
}

export function same(one: Shown, other: Shown): boolean {
  return one.events === other.events && String(one.machines) === String(other.machines);
}

/** `ago` is how many seconds back the first of it was read. */
export function watchMessage({ events, machines }: Shown, ago: number): string {
  const message: Watch = {
    type: 'watch',
    topics: events ? ['events'] : [],
    machines: [...(machines ?? [])],
    ago: Math.min(ago, LONGEST_ABSENCE),
  };
  return JSON.stringify(message);
}
