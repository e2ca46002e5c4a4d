// Where the keyboard goes when something has to be corrected.

/** Moves the focus to the first control of a form that is marked as wrong. */
export function focusMistake(form: HTMLElement): void {
  form.querySelector<HTMLElement>('[aria-invalid="true"]')?.focus();
}
