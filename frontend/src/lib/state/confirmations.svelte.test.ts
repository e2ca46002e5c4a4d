import { afterEach, describe, expect, it } from 'vitest';
import type { ConfirmQuestion } from '../api/types.ts';
import { confirmations } from './confirmations.svelte.ts';

function question(part: Partial<ConfirmQuestion> = {}): ConfirmQuestion {
  const reasons = [{ kind: 'many_machines' as const, machines: 152, detail: '' }];
  return { token: '152-a', machines: 152, fleet: 474, reasons, ...part };
}

afterEach(() => confirmations.current?.answer(false));

describe('a question', () => {
  it('waits for its answer', async () => {
    const answer = confirmations.ask(question());
    expect(confirmations.current?.question.machines).toBe(152);
    confirmations.current?.answer(true);
    await expect(answer).resolves.toBe(true);
    expect(confirmations.current).toBeNull();
  });

  it('is not asked twice when its number has just been confirmed', async () => {
    await expect(confirmations.knowing(152, () => confirmations.ask(question()))).resolves.toBe(
      true,
    );
    const later = confirmations.ask(question());
    confirmations.current?.answer(false);
    await expect(later).resolves.toBe(false);
  });

  it('is asked when the number is another one, or Macs leave Lockdown too', async () => {
    const reasons = [{ kind: 'leaves_lockdown' as const, machines: 152, detail: '' }];
    for (const other of [question({ machines: 153 }), question({ reasons })]) {
      const answer = confirmations.knowing(152, () => confirmations.ask(other));
      expect(confirmations.current?.question).toEqual(other);
      confirmations.current?.answer(true);
      await expect(answer).resolves.toBe(true);
    }
  });

  it('that is overtaken by another one is answered with no', async () => {
    const first = confirmations.ask(question());
    const second = confirmations.ask(question({ token: '152-b' }));
    await expect(first).resolves.toBe(false);
    confirmations.current?.answer(true);
    await expect(second).resolves.toBe(true);
  });
});
