// The context of every page in the console: the logged-in user and the live connection. Set once in the layout.
import { createContext } from 'svelte';
import type { Permission, User } from '../api/types.ts';
import type { Live } from '../live/live.svelte.ts';

interface ConsoleContext {
  readonly user: User;
  /** Whether this user has a permission, everywhere or for some tags; the server checks it again. */
  readonly may: (permission: Permission) => boolean;
  /** Whether this user has a permission everywhere. */
  readonly mayEverywhere: (permission: Permission) => boolean;
  /** Whether this user has a permission for what has one of these tags. */
  readonly mayWithTags: (permission: Permission, tags: readonly string[]) => boolean;
  /** The names of the tags to which a permission of this user is limited; undefined: none. */
  readonly limits: (permission: Permission) => readonly string[] | undefined;
  readonly live: Live;
}

export const [getConsole, setConsole] = createContext<ConsoleContext>();
