// One change of the policy with the pages of its rules: each page comes with what is known about the change.
import type { ChangeDetails, Position, RuleDifference } from '../api/types.ts';
import { PagedList } from './paged-list.svelte.ts';

export class ChangeView {
  details = $state.raw<ChangeDetails | null>(null);
  readonly rules: PagedList<RuleDifference>;

  constructor(read: (position: Position) => Promise<ChangeDetails>) {
    this.rules = new PagedList({
      read: async (position) => {
        const found = await read(position);
        this.details = found;
        return { items: found.rules, next_cursor: found.next_cursor };
      },
      key: ({ layer, rule_type, identifier }) => JSON.stringify([layer, rule_type, identifier]),
    });
  }
}
