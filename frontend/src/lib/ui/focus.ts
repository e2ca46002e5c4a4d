// Where the keyboard goes when something has to be corrected.

/** Moves the focus to the first control that is marked as wrong, if the form is still there. */
export function focusMistake(form: HTMLElement | null | undefined): void {
  form?.querySelector<HTMLElement>('[aria-invalid="true"]')?.focus();
}
