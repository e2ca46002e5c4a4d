import { describe, expect, it } from 'vitest';
import { losesSession, plainHttpHelp } from './plain-http.ts';

const state = (https_only: boolean, public_url = '') => ({ user: null, https_only, public_url });
const page = (address: string) => new URL(address);

describe('a page over plain HTTP', () => {
  it.each([
    [true, 'http://santa.example.com/login', true],
    [true, 'http://10.0.0.5:8080/login', true],
    [true, 'http://localhost.example.com/login', true],
    [true, 'https://santa.example.com/login', false],
    [true, 'http://localhost:8080/login', false],
    [true, 'http://127.0.0.1:8080/login', false],
    [true, 'http://[::1]:8080/login', false],
    [false, 'http://santa.example.com/login', false],
  ])('with sessions for HTTPS only (%s) at %s loses them: %s', (only, address, loses) => {
    expect(losesSession(state(only), page(address))).toBe(loses);
  });

  it('is told where to go', () => {
    const here = page('http://santa.example.com:8080/login');
    expect(plainHttpHelp(state(true, 'https://santa.example.com'), here)).toContain(
      'Open https://santa.example.com instead.',
    );
    const unset = plainHttpHelp(state(true), here);
    expect(unset).toContain('PUBLIC_URL is not set');
    expect(unset).toContain('PUBLIC_URL=http://santa.example.com:8080');
  });
});
