// What every page inside the console may ask for: who is logged in, and the live connection. Set once in its layout.
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
