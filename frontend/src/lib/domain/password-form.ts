// The form for another password: initial values and validation. Pure.

/** Field names are those of the API, so that errors of the server are matched by name. */
export interface PasswordForm {
  current_password: string;
  new_password: string;
  /** The new one once more. */
  again: string;
}

type PasswordMistakes = Partial<Record<keyof PasswordForm, string>>;

/** Characters of the shortest password, as the server has it. */
const SHORTEST = 15;

export function emptyPasswordForm(): PasswordForm {
  return { current_password: '', new_password: '', again: '' };
}

/** Errors by field. */
export function passwordMistakes(form: PasswordForm): PasswordMistakes {
  const mistakes: PasswordMistakes = {};
  if (form.current_password === '') mistakes.current_password = 'Enter your current password.';
  if (Array.from(form.new_password).length < SHORTEST) {
    mistakes.new_password = `Enter at least ${SHORTEST} characters.`;
  } else if (form.new_password === form.current_password) {
    mistakes.new_password = 'Choose a password other than the current one.';
  } else if (form.again !== form.new_password) {
    mistakes.again = 'This is not the same as the new password.';
  }
  return mistakes;
}
