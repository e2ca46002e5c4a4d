// The pause before the next attempt to connect. Pure: the caller passes the random number.

const FIRST = 500;
const LONGEST = 30_000;

/** Milliseconds before try number `attempt` (0 = the first repeat); `random` in [0, 1) spreads a fleet of consoles. */
export function reconnectDelay(attempt: number, random: number): number {
  const ceiling = Math.min(LONGEST, FIRST * 2 ** Math.min(attempt, 16));
  return Math.round(ceiling / 2 + (ceiling / 2) * random);
}
