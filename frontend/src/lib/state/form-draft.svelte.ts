// A form's draft of something that is stored as a whole: changes, validation, saving. Independent of pages.
import { asApiError, formMessage, type Stale } from '../api/errors.ts';
import type { ChangeNote } from '../api/types.ts';
import type { Fields, Side, TheirChange } from '../domain/edit-merge.ts';

type Errors = Partial<Record<string, string>>;

interface Options<T> {
  start: T;
  /** Stores the draft and returns what is stored now. */
  save: (draft: T, saved: T) => Promise<T>;
  /** Errors of a draft, by field name. */
  errors?: (draft: T) => Errors;
  /** Whether there is nothing to save; else both are compared as they are. */
  same?: (one: T, other: T) => boolean;
  /** The fields of the form, if they differ from the draft's; errors of the server are shown there. */
  fields?: (draft: T) => object;
  /** Whether saving has to be confirmed first. */
  question?: (draft: T, saved: T) => boolean;
  onsaved?: () => void;
  /** What a draft consists of, so that it can be merged with what someone else has stored since. */
  merge?: Mergeable<T>;
}

interface Mergeable<T> {
  /** The values of the object as the server has it now. */
  reread: (current: unknown) => T;
  fields: (draft: T) => Fields;
  /** The draft with these fields; what is not merged is that of `theirs`, or of the draft. */
  assemble: (fields: Fields, theirs: T, draft: T) => T;
}

/** Merges field by field, for a draft whose fields are all the object's. */
export function byField<T extends object>(reread: (current: unknown) => T): Mergeable<T> {
  return {
    reread,
    fields: (draft) => ({ ...draft }) as Fields,
    assemble: (fields, theirs) => ({ ...theirs, ...fields }),
  };
}

/** Someone else saved first: what they changed, and when. */
export interface EditConflict {
  changes: readonly ChangeNote[];
  fields: readonly TheirChange[];
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
  /** Shown until the draft is saved or discarded. */
  conflict = $state.raw<EditConflict | null>(null);
  #refusals = $state.raw<Readonly<Record<string, Refusal>>>({});
  readonly #options: Options<T>;

  readonly changed = $derived.by(() => {
    const same = this.#options.same ?? ((one, other) => text(one) === text(other));
    return !same(this.draft, this.saved);
  });
  readonly errors = $derived.by<Errors>(() => {
    const fields = this.#fields(this.draft);
    const refused = Object.entries(this.#refusals)
      .filter(([name, { value }]) => text(fields[name]) === value)
      .map(([name, { message }]) => [name, message] as const);
    const found = this.tried ? this.#options.errors?.(this.draft) : {};
    return { ...Object.fromEntries(refused), ...found };
  });

  constructor(options: Options<T>) {
    this.#options = options;
    this.saved = options.start;
    this.draft = structuredClone(options.start);
  }

  reset() {
    this.draft = structuredClone(this.saved);
    this.conflict = null;
    this.#clear(false);
  }

  /** Decides which value of a field that both changed the draft has. */
  choose(field: string, kept: Side) {
    const merge = this.#options.merge;
    if (!merge || !this.conflict) return;
    const fields = this.conflict.fields.map((one) =>
      one.field === field ? { ...one, kept } : one,
    );
    const chosen = fields.find((one) => one.field === field);
    this.conflict = { ...this.conflict, fields };
    if (!chosen) return;
    const draft = $state.snapshot(this.draft) as T;
    const merged = without({ ...merge.fields(draft), [field]: chosen[kept] });
    this.draft = merge.assemble(merged, this.saved, draft);
  }

  /** Saves, unless the draft is invalid or needs a confirmation. */
  async submit(): Promise<void> {
    if (this.busy) return;
    this.#clear(true);
    if (Object.keys(this.errors).length > 0) this.wrong += 1;
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
      await this.#refuse(thrown);
    } finally {
      this.busy = false;
    }
  }

  async #refuse(thrown: unknown): Promise<void> {
    const problem = asApiError(thrown);
    if (problem.stale && this.#options.merge) {
      await this.#mergeWith(problem.stale, this.#options.merge);
      return;
    }
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

  async #mergeWith({ current, changes }: Stale, merge: Mergeable<T>): Promise<void> {
    const { mergeEdits } = await import('../domain/edit-merge.ts'); // rarely needed
    const draft = $state.snapshot(this.draft) as T;
    const theirs = merge.reread(current);
    const merged = mergeEdits(merge.fields(this.saved), merge.fields(draft), merge.fields(theirs));
    this.saved = theirs;
    this.draft = merge.assemble(merged.fields, theirs, draft);
    this.conflict = { changes, fields: merged.changes };
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

function without(fields: Fields): Fields {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
}

function text(value: unknown): string | undefined {
  return JSON.stringify(value);
}
