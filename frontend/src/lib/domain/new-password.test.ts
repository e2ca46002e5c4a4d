import { expect, it } from 'vitest';
import { passwordTooShort } from './new-password.ts';

it('counts characters, not the units that JavaScript stores them in', () => {
  expect(passwordTooShort('x'.repeat(14))).toMatch('15');
  expect(passwordTooShort('😀'.repeat(14))).toMatch('15');
  expect(passwordTooShort('😀'.repeat(15))).toBeUndefined();
});
