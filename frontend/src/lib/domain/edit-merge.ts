// Merges what two people changed of the same object, field by field. Pure.

/** An object by field; a field that is not there has the value undefined. */
export type Fields = Readonly<Record<string, unknown>>;

export type Side = 'yours' | 'theirs';

/** A field that someone else has changed. */
export interface TheirChange {
  field: string;
  was: unknown;
  theirs: unknown;
  yours: unknown;
  /** The value in the merged draft: theirs, unless the field was changed here too. */
  kept: Side;
}

export interface Merged {
  fields: Fields;
  /** What they changed and this draft does not have; the same change made by both is none. */
  changes: TheirChange[];
}

/** `was`: what both began with. */
export function mergeEdits(was: Fields, yours: Fields, theirs: Fields): Merged {
  const fields: Record<string, unknown> = {};
  const changes: TheirChange[] = [];
  for (const field of new Set([...Object.keys(yours), ...Object.keys(theirs)])) {
    const [before, mine, other] = [was[field], yours[field], theirs[field]];
    const kept: Side = sameValue(mine, before) ? 'theirs' : 'yours';
    const value = kept === 'theirs' ? other : mine;
    if (value !== undefined) fields[field] = value;
    if (!sameValue(other, before) && !sameValue(other, mine)) {
      changes.push({ field, was: before, theirs: other, yours: mine, kept });
    }
  }
  return { fields, changes };
}

/** Whether two values are equal; the order of keys does not count. */
export function sameValue(one: unknown, other: unknown): boolean {
  return canonical(one) === canonical(other);
}

function canonical(value: unknown): string | undefined {
  return JSON.stringify(value, (_, part: unknown) =>
    typeof part === 'object' && part !== null && !Array.isArray(part)
      ? Object.fromEntries(Object.entries(part).toSorted(([a], [b]) => (a < b ? -1 : 1)))
      : part,
  );
}
