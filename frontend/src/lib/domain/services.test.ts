import { describe, expect, it } from 'vitest';
import { someProcesses, someService } from '../testing/server-status.ts';
import { serviceFindings, serviceName, serviceTone } from './services.ts';

describe('the services of the container', () => {
  it('have their number where there are several', () => {
    const backends = [0, 1].map((instance) => someService({ instance }));
    const all = [...backends, someService({ name: 'proxy' })];
    expect(all.map((one) => serviceName(one, all))).toEqual(['backend:0', 'backend:1', 'proxy']);
  });

  it.each([
    ['daemon', 'ready', 'ok'],
    ['task', 'completed', 'ok'],
    ['task', 'stopped', 'neutral'],
    ['daemon', 'stopped', 'warn'],
    ['daemon', 'starting', 'neutral'],
    ['daemon', 'backoff', 'warn'],
    ['daemon', 'failed', 'danger'],
    ['daemon', 'of a later version', 'neutral'],
  ] as const)('a %s that is %s is %s', (kind, state, tone) => {
    expect(serviceTone(someService({ kind, state }))).toBe(tone);
  });

  it('need no attention when all is well, nor without santa-supervise', () => {
    expect(serviceFindings(someProcesses())).toEqual([]);
    const none = { source: 'none', problem: null, supervisor: null, services: [] } as const;
    expect(serviceFindings({ ...none, services: [] })).toEqual([]);
  });

  it('need attention when one failed, starts again, or is unknown', () => {
    const services = [
      someService({ state: 'backoff', why: 'exited with 1' }),
      someService({ name: 'proxy', state: 'failed', why: 'failed 5 times' }),
    ];
    expect(serviceFindings(someProcesses({ services }))).toEqual([
      { tone: 'warn', text: 'backend is down and starts again after a pause: exited with 1' },
      { tone: 'danger', text: 'proxy is failed: failed 5 times' },
    ]);
    const unreachable = someProcesses({
      source: 'unreachable',
      problem: 'no answer',
      services: [],
    });
    expect(serviceFindings(unreachable).map(({ text }) => text)).toEqual([
      'The state of the services is unknown: no answer',
    ]);
  });

  it('need attention when lines of the log were lost', () => {
    const { supervisor } = someProcesses();
    const lossy = supervisor && { ...supervisor, dropped_lines: 7 };
    const [found] = serviceFindings(someProcesses({ supervisor: lossy }));
    expect(found?.text).toContain('7 lines of logs were dropped');
  });
});
