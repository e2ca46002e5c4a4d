// The services of the container: their names, how well they are, and what needs attention. Pure.
import type { ServerStatus } from '../api/types.ts';
import type { Tone } from '../ui/tone.ts';
import { plural } from './format.ts';
import type { Finding } from './server-status.ts';

type Processes = ServerStatus['processes'];
type Service = Processes['services'][number];

const TONES: Record<string, Tone> = {
  ready: 'ok',
  completed: 'ok',
  skipped: 'neutral',
  backoff: 'warn',
  failed: 'danger',
};

/** As `santa-supervise status` names it: with its number where there are several. */
export function serviceName({ name, instance }: Service, all: Service[]): string {
  return all.some((other) => other.name === name && other.instance !== instance)
    ? `${name}:${String(instance)}`
    : name;
}

export function serviceTone({ kind, state }: Service): Tone {
  if (state === 'stopped') return kind === 'daemon' ? 'warn' : 'neutral';
  return TONES[state] ?? 'neutral';
}

/** What to look at. */
export function serviceFindings({ problem, supervisor, services }: Processes): Finding[] {
  const found: Finding[] = [];
  if (problem)
    found.push({ tone: 'warn', text: `The state of the services is unknown: ${problem}` });
  for (const service of services) {
    const tone = serviceTone(service);
    if (tone === 'warn' || tone === 'danger')
      found.push({ tone, text: `${serviceName(service, services)} is ${sentence(service)}` });
  }
  const lines = supervisor?.dropped_lines ?? 0;
  if (lines > 0)
    found.push({
      tone: 'warn',
      text: `${plural(lines, 'line')} of logs were dropped because nobody read them in time.`,
    });
  return found;
}

function sentence({ state, why }: Service): string {
  return state === 'backoff' ? `down and starts again after a pause: ${why}` : `${state}: ${why}`;
}
