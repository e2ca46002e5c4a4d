import { describe, expect, it } from 'vitest';
import { choiceParam, numberParam, safeReturnPath, textParam, withParams } from './url-state.ts';

const url = new URL('https://x.example/events?q=a+b&decision=blocked');

describe('filters in the address', () => {
  it('change one parameter and keep the others', () => {
    expect(withParams(url, { q: 'ü&=' })).toBe('/events?q=%C3%BC%26%3D&decision=blocked');
  });

  it('leave a clean path when the last one goes', () => {
    expect(withParams(url, { q: '', decision: undefined })).toBe('/events');
  });

  it('are read without surrounding space, and absent when empty', () => {
    expect(textParam(new URLSearchParams('q=+x+'), 'q')).toBe('x');
    expect(textParam(new URLSearchParams('q=+'), 'q')).toBeUndefined();
  });

  it('ignore words that are no choice', () => {
    const choices = ['blocked', 'allowed'] as const;
    expect(choiceParam(url.searchParams, 'decision', choices)).toBe('blocked');
    expect(choiceParam(new URLSearchParams('decision=x'), 'decision', choices)).toBeUndefined();
  });

  it.each([
    ['12', 12],
    ['0', undefined],
    ['1.5', undefined],
    ['-3', undefined],
    ['1e3', undefined],
  ])('read the number "%s" as %s', (text, value) => {
    expect(numberParam(new URLSearchParams({ event: text }), 'event')).toBe(value);
  });
});

describe('the way back after a log-in', () => {
  it('leads to pages of this console', () => {
    expect(safeReturnPath('/rules?q=x')).toBe('/rules?q=x');
  });

  it.each([
    null,
    '',
    'https://evil.example',
    '//evil.example',
    '/\\evil.example',
    '/\t/evil.example',
    '/\n/evil.example',
    '\t//evil.example',
    '/\r\\evil.example',
    '/.//evil.example',
    '/x/..//evil.example',
    '/%2e//evil.example',
    '/\tlogin?next=/login',
    'javascript:alert(1)',
    '/login?next=/login',
  ])('never leads to %s', (next) => {
    expect(safeReturnPath(next)).toBe('/');
  });
});
