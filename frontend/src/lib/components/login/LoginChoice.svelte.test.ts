import { render, screen } from '@testing-library/svelte';
import { beforeEach, expect, it, vi } from 'vitest';
import { loginState } from '../../api/auth.ts';
import type { LoginMethods } from '../../api/types.ts';
import LoginChoice from './LoginChoice.svelte';

vi.mock('../../api/auth.ts');

const provider = { name: 'Microsoft', start: '/api/v1/auth/oidc/start' };
const onsuccess = vi.fn(async () => undefined);
const show = (methods: LoginMethods | null, local = false) =>
  render(LoginChoice, { methods, local, next: '/rules?q=a&b=1', onsuccess });

beforeEach(() => {
  vi.mocked(loginState).mockResolvedValue({ user: null, https_only: false, public_url: '' });
});

it('offers the provider first, which returns to the page', () => {
  show({ local: true, passkeys: false, provider, failure: null });
  const link = screen.getByRole<HTMLAnchorElement>('link', { name: 'Sign in with Microsoft' });
  const address = new URL(link.href);
  expect(address.pathname).toBe('/api/v1/auth/oidc/start');
  expect(address.searchParams.get('next')).toBe('/rules?q=a&b=1');
  expect(screen.queryByLabelText('Password')).toBeNull();
  const local = screen.getByRole<HTMLAnchorElement>('link', { name: 'Use a local account' });
  expect(new URL(local.href).searchParams.get('next')).toBe('/rules?q=a&b=1');
});

it('has the form when someone asks for it', () => {
  show({ local: true, passkeys: false, provider, failure: null }, true);
  expect(screen.getByLabelText('Password')).toBeTruthy();
  expect(screen.getByRole('link', { name: 'Sign in with Microsoft' })).toBeTruthy();
});

it.each([null, { local: true, passkeys: false, provider: null, failure: null }])(
  'has only the form without a provider, or when the ways to log in are not known',
  (methods) => {
    show(methods);
    expect(screen.getByLabelText('Password')).toBeTruthy();
    expect(screen.queryByRole('link')).toBeNull();
  },
);

it('says why a sign-in failed and what to do', () => {
  const failure = { message: 'Your account here is disabled.', hint: 'Ask an administrator.' };
  show({ local: true, passkeys: false, provider, failure });
  const text = screen.getByRole('alert').textContent;
  expect(text).toContain(failure.message);
  expect(text).toContain(failure.hint);
});
