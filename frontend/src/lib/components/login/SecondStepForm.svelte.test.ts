import { render, screen, waitFor } from '@testing-library/svelte';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { loginState } from '../../api/auth.ts';
import { ApiError } from '../../api/errors.ts';
import { enterCode } from '../../api/second-factor.ts';
import type { SecondFactorNeeded, User } from '../../api/types.ts';
import SecondStepForm from './SecondStepForm.svelte';

vi.mock('../../api/auth.ts');
vi.mock('../../api/second-factor.ts');
afterEach(() => void vi.resetAllMocks());

const user = { username: 'admin' } as User;
const onsuccess = vi.fn(async () => undefined);
const onrestart = vi.fn();
const button = (name: string) => screen.getByRole('button', { name });

function show(...methods: SecondFactorNeeded['methods']) {
  render(SecondStepForm, { needed: { methods, expires_in: 300 }, onsuccess, onrestart });
}

function type(name: string, value: string) {
  const input = screen.getByLabelText<HTMLInputElement>(name);
  input.value = value;
  input.dispatchEvent(new Event('input', { bubbles: true }));
}

beforeEach(() => {
  vi.mocked(loginState).mockResolvedValue({ user, https_only: false, public_url: '' });
});

it('takes the code, which the phone offers', async () => {
  show('totp', 'recovery_code');
  const input = screen.getByLabelText<HTMLInputElement>('Code of your authenticator app');
  expect(document.activeElement).toBe(input);
  expect(input.autocomplete).toBe('one-time-code');
  expect(input.inputMode).toBe('numeric');
  button('Continue').click();
  await screen.findByText('Enter the code.');
  expect(enterCode).not.toHaveBeenCalled();
  type('Code of your authenticator app', '123 456');
  button('Continue').click();
  await waitFor(() => expect(onsuccess).toHaveBeenCalledOnce());
  expect(enterCode).toHaveBeenCalledWith('123 456');
});

it('announces a wrong code and stays', async () => {
  vi.mocked(enterCode).mockRejectedValue(new ApiError(401, 'Unauthorized', 'The code is wrong'));
  show('totp');
  type('Code of your authenticator app', '000000');
  button('Continue').click();
  expect((await screen.findByRole('alert')).textContent).toContain('The code is wrong');
  const input = screen.getByLabelText<HTMLInputElement>('Code of your authenticator app');
  await waitFor(() => expect(document.activeElement).toBe(input));
  expect(input.selectionEnd).toBe(6);
  expect(onrestart).not.toHaveBeenCalled();
});

it('begins again when the login has run out', async () => {
  const expired = new ApiError(401, 'Unauthorized', 'It took too long', {}, null, 'login_expired');
  vi.mocked(enterCode).mockRejectedValue(expired);
  show('totp');
  type('Code of your authenticator app', '000000');
  button('Continue').click();
  await waitFor(() => expect(onrestart).toHaveBeenCalledExactlyOnceWith('It took too long'));
  expect(onsuccess).not.toHaveBeenCalled();
});

it('takes a recovery code instead', async () => {
  show('totp', 'recovery_code');
  button('Use a recovery code').click();
  const input = await screen.findByLabelText<HTMLInputElement>('Recovery code');
  await waitFor(() => expect(document.activeElement).toBe(input));
  expect(input.autocomplete).toBe('off');
  type('Recovery code', 'abcd-efgh-ijkl-mnop');
  button('Continue').click();
  await waitFor(() => expect(enterCode).toHaveBeenCalledWith('abcd-efgh-ijkl-mnop'));
});

it('says so when the browser has no passkeys, and takes a recovery code', () => {
  show('passkey', 'recovery_code');
  expect(screen.getByRole('status').textContent).toContain('This browser has no passkeys');
  expect(screen.getByLabelText('Recovery code')).toBeTruthy();
});
