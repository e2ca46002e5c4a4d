import { render, screen, waitFor } from '@testing-library/svelte';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { logIn, loginState, needsSecondFactor } from '../../api/auth.ts';
import { ApiError } from '../../api/errors.ts';
import type { User } from '../../api/types.ts';
import LoginForm from './LoginForm.svelte';

vi.mock('../../api/auth.ts');
afterEach(() => void vi.resetAllMocks());

const user: User = {
  id: 1,
  username: 'admin',
  display_name: '',
  role: 'admin',
  roles: [{ role: 'admin', tag: null }],
  permissions: [],
  scopes: {},
};
const state = { user, https_only: false, public_url: '' };
const onsuccess = vi.fn(async () => undefined);
const onsecondfactor = vi.fn();
const field = (name: string) => screen.getByLabelText<HTMLInputElement>(name);

function type(name: string, value: string) {
  field(name).value = value;
  field(name).dispatchEvent(new Event('input', { bubbles: true }));
}

function submit() {
  screen.getByRole('button', { name: 'Log in' }).click();
}

beforeEach(() => {
  vi.mocked(loginState).mockResolvedValue(state);
  render(LoginForm, { onsuccess, onsecondfactor });
});

it('logs in', async () => {
  type('Username', ' admin ');
  type('Password', ' secret ');
  submit();
  await waitFor(() => expect(onsuccess).toHaveBeenCalledOnce());
  expect(logIn).toHaveBeenCalledWith('admin', ' secret ');
});

it('goes on with the second factor', async () => {
  const needed = { methods: ['totp' as const], expires_in: 300 };
  vi.mocked(logIn).mockResolvedValue(needed);
  vi.mocked(needsSecondFactor).mockReturnValue(true);
  vi.mocked(loginState).mockResolvedValue({ ...state, user: null });
  type('Username', 'admin');
  type('Password', 'secret');
  submit();
  await waitFor(() => expect(onsecondfactor).toHaveBeenCalledExactlyOnceWith(needed));
  expect(onsuccess).not.toHaveBeenCalled();
});

it('asks for what is missing', async () => {
  type('Username', 'admin');
  submit();
  await screen.findByText('Enter your password.');
  await waitFor(() => expect(document.activeElement).toBe(field('Password')));
  expect(logIn).not.toHaveBeenCalled();
});

it('says that name or password is wrong, each time, and lets the password be typed again', async () => {
  vi.mocked(logIn).mockRejectedValue(new ApiError(401, 'You are not logged in'));
  type('Username', 'admin');
  for (const wrong of ['one', 'two']) {
    type('Password', wrong);
    field('Username').focus();
    submit();
    expect((await screen.findByRole('alert')).textContent).toContain('Wrong username or password.');
    await waitFor(() => expect(document.activeElement).toBe(field('Password')));
    expect(field('Password').selectionEnd).toBe(3);
  }
  expect(onsuccess).not.toHaveBeenCalled();
});

it('says so when the browser did not keep the session', async () => {
  vi.mocked(loginState).mockResolvedValue({ ...state, user: null });
  type('Username', 'admin');
  type('Password', 'secret');
  submit();
  expect((await screen.findByRole('alert')).textContent).toContain('Allow cookies for this site.');
  expect(onsuccess).not.toHaveBeenCalled();
});
