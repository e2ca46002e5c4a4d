// The form behind a setup link: validation. Pure.
import { passwordTooShort } from './new-password.ts';

/** Field names are those of the API, so that errors of the server are matched by name. */
export interface SetupForm {
  username: string;
  password: string;
  /** The password once more. */
  again: string;
}

export function setupErrors(form: SetupForm): Partial<Record<keyof SetupForm, string>> {
  const short = passwordTooShort(form.password);
  return {
    ...(form.username.trim() === '' ? { username: 'Choose a user name.' } : {}),
    ...(short
      ? { password: short }
      : form.again === form.password
        ? {}
        : { again: 'This is not the same as the password.' }),
  };
}
