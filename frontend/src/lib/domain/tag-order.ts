// The order of tags as the page shows it: the highest first. Pure.

/** The list with the item at `index` moved by one place, up (-1) or down (1); the same list at its ends. */
export function moved<T>(items: readonly T[], index: number, by: -1 | 1): readonly T[] {
  const target = index + by;
  const item = items[index];
  const other = items[target];
  if (item === undefined || other === undefined) return items;
  return items.with(index, other).with(target, item);
}

/** Whether two lists name the same ids in the same order. */
export function sameOrder(one: readonly number[], other: readonly number[]): boolean {
  return one.length === other.length && one.every((id, index) => id === other[index]);
}

/**
 * The order someone is working on, after the tags were read again: tags that are new come on top, as the
 * server puts them; removed ones go.
 */
export function rebased(draft: readonly number[], present: readonly number[]): number[] {
  const known = new Set(draft);
  const live = new Set(present);
  return [...present.filter((id) => !known.has(id)), ...draft.filter((id) => live.has(id))];
}
