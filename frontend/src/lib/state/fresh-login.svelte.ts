// The question for the password that changes are waiting for, shown by the layout. Next: api/fresh.ts.

class FreshLogin {
  answer = $state.raw<((proved: boolean) => void) | null>(null);
  #waiting: Promise<boolean> | null = null;

  /** Asks once for all calls that wait. */
  prove = (): Promise<boolean> => {
    this.#waiting ??= new Promise<boolean>((resolve) => {
      this.answer = (proved) => {
        this.answer = null;
        this.#waiting = null;
        resolve(proved);
      };
    });
    return this.#waiting;
  };
}

export const freshLogin = new FreshLogin();
