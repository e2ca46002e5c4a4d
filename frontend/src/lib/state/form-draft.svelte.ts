// A form's draft of something that is stored as a whole: changes, validation, saving. Independent of pages.
import { asApiError, formMessage } from '../api/errors.ts';

type Mistakes = Partial<Record<string, string>>;

interface Options<T> {
  start: T;
  /** Stores the draft and returns what is stored now. */
  save: (draft: T, saved: T) => Promise<T>;
  /** Errors of a draft, by field name. */
  mistakes?: (draft: T) => Mistakes;
  /** Whether there is nothing to save; else both are compared as they are. */
  same?: (one: T, other: T) => boolean;
  /** The fields of the form, if they differ from the draft's; errors of the server are shown there. */
  fields?: (draft: T) => object;
  /** Whether saving has to be confirmed first. */
  question?: (draft: T, saved: T) => boolean;
  onsaved?: () => void;
}

/** The server's error for a field, and the value it belongs to. */
interface Refusal {
  message: string;
  value: string | undefined;
}

export class FormDraft<T extends object> {
  saved = $state.raw() as T;
  draft = $state() as T;
  /** After the first attempt to save, errors are shown, and disappear as they are corrected. */
  tried = $state(false);
  failure = $state('');
  busy = $state(false);
  /** The draft is valid, and saving waits for `send` or for `asking` to become false. */
  asking = $state(false);
  /** Counts failed attempts: the form then moves the focus to the first error. */
  wrong = $state(0);
  #refusals = $state.raw<Readonly<Record<string, Refusal>>>({});
  readonly #options: Options<T>;

  readonly changed = $derived.by(() => {
    const same = this.#options.same ?? ((one, other) => text(one) === text(other));
    return !same(this.draft, this.saved);
  });
  readonly mistakes = $derived.by<Mistakes>(() => {
    const fields = this.#fields(this.draft);
    const refused = Object.entries(this.#refusals)
      .filter(([name, { value }]) => text(fields[name]) === value)
      .map(([name, { message }]) => [name, message] as const);
    const found = this.tried ? this.#options.mistakes?.(this.draft) : {};
    return { ...Object.fromEntries(refused), ...found };
  });

  constructor(options: Options<T>) {
    this.#options = options;
    this.saved = options.start;
    this.draft = structuredClone(options.start);
  }

  reset() {
    this.draft = structuredClone(this.saved);
    this.#clear(false);
  }

  /** Saves, unless the draft is invalid or needs a confirmation. */
  async submit(): Promise<void> {
    if (this.busy) return;
    this.#clear(true);
    if (Object.keys(this.mistakes).length > 0) this.wrong += 1;
    else if (this.#options.question?.(this.draft, this.saved)) this.asking = true;
    else await this.send();
  }

  async send(): Promise<void> {
    this.asking = false;
    const draft = $state.snapshot(this.draft) as T;
    await this.attempt(async () => {
      this.saved = await this.#options.save(draft, this.saved);
      this.reset();
      this.#options.onsaved?.();
    });
  }

  /** Does something whose failure this form shows. */
  async attempt(work: () => Promise<void>): Promise<void> {
    this.busy = true;
    this.failure = '';
    this.#refusals = {};
    try {
      await work();
    } catch (thrown) {
      this.#refuse(thrown);
    } finally {
      this.busy = false;
    }
  }

  #refuse(thrown: unknown) {
    const problem = asApiError(thrown);
    const fields = this.#fields(this.draft);
    const named = Object.entries(problem.fields).map(
      ([name, message]) => [name.replace(/^values\./, ''), message] as const,
    );
    this.#refusals = Object.fromEntries(
      named.map(([name, message]) => [name, { message, value: text(fields[name]) }]),
    );
    const { message } = problem;
    this.failure = formMessage({ fields: Object.fromEntries(named), message }, fields);
    this.wrong += 1;
  }

  #fields(draft: T): Readonly<Record<string, unknown>> {
    return { ...(this.#options.fields?.(draft) ?? draft) };
  }

  #clear(tried: boolean) {
    this.tried = tried;
    this.#refusals = {};
    this.failure = '';
  }
}

function text(value: unknown): string | undefined {
  return JSON.stringify(value);
}
