// The question that a change is waiting for, shown by ui of the layout. Next: api/confirm.ts.
import type { ConfirmQuestion } from '../api/types.ts';

class Confirmations {
  current = $state.raw<{ question: ConfirmQuestion; answer: (yes: boolean) => void } | null>(null);
  #seen: number | null = null;

  ask = (question: ConfirmQuestion): Promise<boolean> => {
    if (this.#isSeen(question)) return Promise.resolve(true);
    this.current?.answer(false);
    return new Promise((resolve) => {
      this.current = {
        question,
        answer: (yes) => {
          this.current = null;
          resolve(yes);
        },
      };
    });
  };

  /** Makes a change whose number of Macs someone has just confirmed; the same number is not asked for twice. */
  async knowing<T>(machines: number | null, change: () => Promise<T>): Promise<T> {
    this.#seen = machines;
    try {
      return await change();
    } finally {
      this.#seen = null;
    }
  }

  #isSeen({ machines, reasons }: ConfirmQuestion): boolean {
    return machines === this.#seen && reasons.every(({ kind }) => kind !== 'leaves_lockdown');
  }
}

export const confirmations = new Confirmations();
