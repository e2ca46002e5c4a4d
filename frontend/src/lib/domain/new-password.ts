// What the server demands of a new password before it looks at the words in it. Pure.

/** Characters of the shortest password, as the server has it. */
export const SHORTEST_PASSWORD = 15;

/** The error of a password that is too short. */
export function passwordTooShort(password: string): string | undefined {
  return Array.from(password).length < SHORTEST_PASSWORD
    ? `Enter at least ${SHORTEST_PASSWORD} characters.`
    : undefined;
}
