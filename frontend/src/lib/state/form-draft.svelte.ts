// A form's draft of something that is stored as a whole: what differs, what is wrong, saving it. No words of a page.
import { asApiError, formMessage } from '../api/errors.ts';

type Mistakes = Partial<Record<string, string>>;

interface Options<T> {
  start: T;
  same: (one: T, other: T) => boolean;
  /** What is wrong with a draft, by field name. */
  mistakes: (draft: T) => Mistakes;
  /** Stores the draft and gives what is stored now. */
  save: (draft: T, saved: T) => Promise<T>;
  /** The fields that the form shows; a refusal that names one of them is shown there. */
  fields: (draft: T) => object;
  /** Whether saving has to be confirmed first. */
  question?: (draft: T, saved: T) => boolean;
  onsaved: () => void;
  /** A mistake is to be shown: called after the state has changed. */
  onmistake: () => void | Promise<void>;
}

export class FormDraft<T extends object> {
  saved = $state.raw() as T;
  draft = $state() as T;
  /** Saving was tried: from then on mistakes are shown, and go away as they are corrected. */
  tried = $state(false);
  failure = $state('');
  busy = $state(false);
  /** The draft is right, and saving waits for `send` or for `asking` to become false. */
  asking = $state(false);
  #refused = $state.raw<Mistakes>({});
  readonly #options: Options<T>;

  readonly changed = $derived.by(() => !this.#options.same(this.draft, this.saved));
  readonly mistakes = $derived.by<Mistakes>(() => ({
    ...this.#refused,
    ...(this.tried ? this.#options.mistakes(this.draft) : {}),
  }));

  constructor(options: Options<T>) {
    this.#options = options;
    this.saved = options.start;
    this.draft = structuredClone(options.start);
  }

  reset() {
    this.draft = structuredClone(this.saved);
    this.#clear(false);
  }

  /** Saves, unless something is wrong or has to be confirmed. */
  async submit(): Promise<void> {
    if (this.busy) return;
    this.#clear(true);
    if (Object.keys(this.mistakes).length > 0) return this.#options.onmistake();
    if (this.#options.question?.(this.draft, this.saved)) this.asking = true;
    else await this.send();
  }

  async send(): Promise<void> {
    this.asking = false;
    this.busy = true;
    const draft = $state.snapshot(this.draft) as T;
    try {
      this.saved = await this.#options.save(draft, this.saved);
      this.reset();
      this.#options.onsaved();
    } catch (thrown) {
      const problem = asApiError(thrown);
      const fields = Object.entries(problem.fields).map(
        ([name, words]) => [name.replace(/^values\./, ''), words] as const,
      );
      this.#refused = Object.fromEntries(fields);
      const named = { fields: this.#refused as Record<string, string>, message: problem.message };
      this.failure = formMessage(named, this.#options.fields(draft));
      await this.#options.onmistake();
    } finally {
      this.busy = false;
    }
  }

  #clear(tried: boolean) {
    this.tried = tried;
    this.#refused = {};
    this.failure = '';
  }
}
