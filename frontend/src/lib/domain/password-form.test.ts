import { describe, expect, it } from 'vitest';
import { emptyPasswordForm, passwordErrors } from './password-form.ts';

const GOOD = {
  current_password: 'the old password',
  new_password: 'another long one',
  again: 'another long one',
};

describe('the form for another password', () => {
  it('takes a new password that was entered twice', () => {
    expect(passwordErrors(GOOD)).toEqual({});
  });

  it.each([
    [emptyPasswordForm(), ['current_password', 'new_password']],
    [{ ...GOOD, new_password: 'too short', again: 'too short' }, ['new_password']],
    [{ ...GOOD, new_password: '🔑'.repeat(14), again: '🔑'.repeat(14) }, ['new_password']],
    [{ ...GOOD, new_password: GOOD.current_password }, ['new_password']],
    [{ ...GOOD, again: 'another long on' }, ['again']],
  ])('names what is wrong in %o', (form, fields) => {
    expect(Object.keys(passwordErrors(form))).toEqual(fields);
  });
});
