// Which shares the overview shows, in a fixed order so that they can be compared day by day.
import type { Overview } from '../../api/types.ts';
import { CLIENT_MODES, SYNC_STATES } from '../../domain/machines.ts';
import type { Segment } from '../../ui/tone.ts';

const STATES = ['in_sync', 'pending', 'overdue', 'drifted', 'never'] as const;
const MODES = [
  ['monitor', 'MONITOR'],
  ['lockdown', 'LOCKDOWN'],
  ['standalone', 'STANDALONE'],
] as const;

export function syncSegments(machines: Overview['machines']): Segment[] {
  return STATES.map((state) => ({
    label: SYNC_STATES[state].label,
    tone: SYNC_STATES[state].tone,
    value: machines[state],
  }));
}

export function modeSegments(modes: Overview['modes']): Segment[] {
  return MODES.map(([key, mode]) => ({
    label: CLIENT_MODES[mode].label,
    tone: CLIENT_MODES[mode].tone,
    value: modes[key],
  }));
}
