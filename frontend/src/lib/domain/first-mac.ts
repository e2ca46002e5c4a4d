// What Macs of an enrollment did since a profile was made for it, by live messages. Pure.
import type { LiveMessage } from '../live/messages.ts';

export interface Arrival {
  machine_id: string;
  hostname: string;
  /** `begun`: its first sync is under way. `moved`: it came with the present secret instead of a previous one. */
  state: 'begun' | 'synced' | 'moved';
}

const SHOWN = 5;
const STATES: Readonly<Record<string, Arrival['state']>> = {
  enrolled: 'begun',
  first_sync: 'synced',
  secret_changed: 'moved',
};

/** Adds what a message tells, the newest first; the same list when it tells nothing of this enrollment. */
export function arrivedBy(
  arrivals: readonly Arrival[],
  message: LiveMessage,
  enrollment: number,
): readonly Arrival[] {
  if (message.type !== 'machine' || message.enrollment !== enrollment) return arrivals;
  const state = STATES[message.change];
  if (state === undefined) return arrivals;
  const { machine_id, hostname } = message;
  const others = arrivals.filter((one) => one.machine_id !== machine_id);
  return [{ machine_id, hostname, state }, ...others].slice(0, SHOWN);
}
