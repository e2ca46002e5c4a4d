// The question whether a change is made although it blocks what Macs need. One at a time; a call waits for the answer.

class GuardQuestion {
  /** Why the server refused the change; empty without a question. */
  text = $state('');
  #answer: (override: boolean) => void = () => undefined;

  ask(text: string): Promise<boolean> {
    this.answer(false);
    this.text = text;
    return new Promise((resolve) => (this.#answer = resolve));
  }

  answer(override: boolean): void {
    this.text = '';
    this.#answer(override);
  }
}

export const guardQuestion = new GuardQuestion();
