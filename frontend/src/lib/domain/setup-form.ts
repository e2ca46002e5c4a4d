// The form behind a setup link: validation. Pure.

/** Field names are those of the API, so that errors of the server are matched by name. */
export interface SetupForm {
  username: string;
  password: string;
  /** The password once more. */
  again: string;
}

/** Characters of the shortest password, as the server has it. */
const SHORTEST = 15;

export function setupMistakes(form: SetupForm): Partial<Record<keyof SetupForm, string>> {
  return {
    ...(form.username.trim() === '' ? { username: 'Choose a user name.' } : {}),
    ...(Array.from(form.password).length < SHORTEST
      ? { password: `Enter at least ${SHORTEST} characters.` }
      : form.again === form.password
        ? {}
        : { again: 'This is not the same as the password.' }),
  };
}
