// The context of every page in the console: the logged-in user and the live connection. Set once in the layout.
import { createContext } from 'svelte';
import type { User } from '../api/types.ts';
import type { Live } from '../live/live.svelte.ts';

interface ConsoleContext {
  readonly user: User;
  /** Whether this user may change policy; the server checks it again. */
  readonly mayEdit: boolean;
  readonly live: Live;
}

export const [getConsole, setConsole] = createContext<ConsoleContext>();
