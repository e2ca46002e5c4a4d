// The form for another password: initial values and validation. Pure.
import { passwordTooShort } from './new-password.ts';

/** Field names are those of the API, so that errors of the server are matched by name. */
export interface PasswordForm {
  current_password: string;
  new_password: string;
  /** The new one once more. */
  again: string;
}

type PasswordErrors = Partial<Record<keyof PasswordForm, string>>;

export function emptyPasswordForm(): PasswordForm {
  return { current_password: '', new_password: '', again: '' };
}

/** Errors by field. */
export function passwordErrors(form: PasswordForm): PasswordErrors {
  const errors: PasswordErrors = {};
  if (form.current_password === '') errors.current_password = 'Enter your current password.';
  const short = passwordTooShort(form.new_password);
  if (short) {
    errors.new_password = short;
  } else if (form.new_password === form.current_password) {
    errors.new_password = 'Choose a password other than the current one.';
  } else if (form.again !== form.new_password) {
    errors.again = 'The passwords do not match.';
  }
  return errors;
}
