// Texts of what is done with Macs: to their credential and to their place in the fleet. Pure.
import type { FleetAction, Machine } from '../api/types.ts';
import { count, plural } from './format.ts';

interface Words {
  /** The button. */
  label: string;
  /** What it does to a Mac. */
  help: string;
  /** After "1 machine " or "3 machines ". */
  done: string;
}

export const FLEET_ACTIONS: Readonly<Record<FleetAction, Words>> = {
  release: {
    label: 'Release',
    help: 'The next other enrollment secret or client certificate that is used with the machine ID takes the Mac over. Until then the present one works.',
    done: 'released',
  },
  withdraw_release: {
    label: 'Withdraw release',
    help: 'Another enrollment secret or client certificate is refused again.',
    done: 'no longer released',
  },
  retire: {
    label: 'Retire',
    help: 'Its syncs are refused, it no longer counts, and it has no tags. The Mac keeps the rules that it has. Its history stays, and it can be restored.',
    done: 'retired',
  },
  restore: {
    label: 'Restore',
    help: 'It may sync again with the credential and the tags that it had, and gets all its rules.',
    done: 'restored',
  },
  delete: {
    label: 'Delete',
    help: 'It is no longer listed. Its events and the audit log stay. If it syncs again with a valid secret, it enrolls as a new Mac.',
    done: 'deleted',
  },
};

/** What can be done with a machine. */
export function actionsFor(machine: Pick<Machine, 'retired_at' | 'released_at'>): FleetAction[] {
  if (machine.retired_at) return ['restore', 'delete'];
  return [machine.released_at ? 'withdraw_release' : 'release', 'retire', 'delete'];
}

/** What can be done with all machines of a list. */
export function actionsForMany(retired: boolean): FleetAction[] {
  return retired ? ['restore', 'delete'] : ['release', 'withdraw_release', 'retire', 'delete'];
}

export function questionFor(action: FleetAction, machines: number): string {
  return `${FLEET_ACTIONS[action].label}: ${plural(machines, 'machine', 'machines')}?`;
}

export function resultOf(action: FleetAction, changed: number, matched: number): string {
  const done = `${plural(changed, 'machine', 'machines')} ${FLEET_ACTIONS[action].done}.`;
  return changed === matched ? done : `${done} ${count(matched - changed)} already were.`;
}

const STEPS: Readonly<Record<string, string>> = {
  machine_credential_changed: 'Moved to another credential',
  machine_credential_released: 'Released',
  machine_credential_release_withdrawn: 'Release withdrawn',
  machine_retired: 'Retired',
  machine_restored: 'Restored',
  machine_reenrolled: 'Enrolled again',
  machine_deleted: 'Deleted',
};

/** An entry of the audit log in words. */
export function stepWords(action: string): string {
  return STEPS[action] ?? action;
}

/** "enrollment 3, certificate 0a1b2c3d…": a credential as the audit log has it. */
export function credentialWords(credential: Readonly<Record<string, unknown>> | null): string {
  const { enrollment, certificate } = credential ?? {};
  const words = [
    typeof enrollment === 'number' ? `enrollment ${enrollment}` : '',
    typeof certificate === 'string' ? `certificate ${certificate.slice(0, 8)}…` : '',
  ];
  return words.filter(Boolean).join(', ') || 'none';
}
