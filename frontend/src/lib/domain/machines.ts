// Texts for a machine's state.
import type { ClientMode, Machine, SyncState } from '../api/types.ts';
import type { Tone } from '../ui/tone.ts';

interface Named {
  label: string;
  tone: Tone;
  help: string;
}

export const SYNC_STATES: Readonly<Record<SyncState, Named>> = {
  in_sync: { label: 'In sync', tone: 'ok', help: 'Has confirmed the current rules.' },
  pending: { label: 'Pending', tone: 'info', help: 'Gets newer rules at its next sync.' },
  overdue: { label: 'Overdue', tone: 'warn', help: 'Has not synced for longer than expected.' },
  drifted: {
    label: 'Drifted',
    tone: 'danger',
    help: 'Its rules differ from what it confirmed, or two Macs use its machine ID.',
  },
  never: { label: 'Never', tone: 'neutral', help: 'Has not completed a sync yet.' },
  retired: { label: 'Retired', tone: 'neutral', help: 'Its syncs are refused.' },
};

export const CLIENT_MODES: Readonly<Record<ClientMode, Named>> = {
  MONITOR: { label: 'Monitor', tone: 'info', help: 'Unknown programs run and are reported.' },
  LOCKDOWN: { label: 'Lockdown', tone: 'ok', help: 'Unknown programs are blocked.' },
  STANDALONE: {
    label: 'Standalone',
    tone: 'neutral',
    help: 'The user approves unknown programs after authenticating.',
  },
};

/** A machine's name: its host name, else its serial number, else its id. */
export function machineName(
  machine: Pick<Machine, 'hostname' | 'machine_id'> & { serial?: string | null },
): string {
  return machine.hostname || machine.serial || machine.machine_id;
}

/** The mode a machine reported, also for unknown ones of a newer Santa. */
export function clientMode(mode: string | null | undefined): Named {
  if (!mode) return { label: 'Unknown', tone: 'neutral', help: 'Not reported yet.' };
  const known = (CLIENT_MODES as Record<string, Named>)[mode];
  return known ?? { label: mode, tone: 'neutral', help: '' };
}
