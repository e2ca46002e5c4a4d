// Short messages about what just happened; screen readers announce them too.
import type { Tone } from '../ui/tone.ts';

interface Toast {
  id: number;
  tone: Tone;
  text: string;
}

const SHOWN_FOR = 6000;

class Toasts {
  list = $state.raw<Toast[]>([]);
  #next = 1;

  show(text: string, tone: Tone = 'ok'): void {
    const id = this.#next++;
    this.list = [...this.list, { id, tone, text }];
    setTimeout(() => this.dismiss(id), SHOWN_FOR);
  }

  dismiss(id: number): void {
    this.list = this.list.filter((toast) => toast.id !== id);
  }
}

export const toasts = new Toasts();
