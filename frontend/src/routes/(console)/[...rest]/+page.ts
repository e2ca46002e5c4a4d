// Any address that no page has: the "not found" page, inside the console's layout.
import { error } from '@sveltejs/kit';

export function load(): never {
  error(404, 'Page not found');
}
