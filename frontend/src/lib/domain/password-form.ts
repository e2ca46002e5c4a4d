// The form for another password: initial values and validation. Pure.
import { passwordTooShort } from './new-password.ts';

/** Field names are those of the API, so that errors of the server are matched by name. */
export interface PasswordForm {
  current_password: string;
  new_password: string;
  /** The new one once more. */
  again: string;
}

type PasswordMistakes = Partial<Record<keyof PasswordForm, string>>;

export function emptyPasswordForm(): PasswordForm {
  return { current_password: '', new_password: '', again: '' };
}

/** Errors by field. */
export function passwordMistakes(form: PasswordForm): PasswordMistakes {
  const mistakes: PasswordMistakes = {};
  if (form.current_password === '') mistakes.current_password = 'Enter your current password.';
  const short = passwordTooShort(form.new_password);
  if (short) {
    mistakes.new_password = short;
  } else if (form.new_password === form.current_password) {
    mistakes.new_password = 'Choose a password other than the current one.';
  } else if (form.again !== form.new_password) {
    mistakes.again = 'This is not the same as the new password.';
  }
  return mistakes;
}
