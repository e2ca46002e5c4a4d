import { describe, expect, it } from 'vitest';
import type { RuleType } from '../api/types.ts';
import { CDHASH, SHA256 } from '../testing/samples.ts';
import { identifierError, normalizeIdentifier } from './identifiers.ts';

describe('identifierError', () => {
  it.each<[RuleType, string]>([
    ['BINARY', SHA256],
    ['BINARY', `  ${SHA256.toUpperCase()} `],
    ['CERTIFICATE', SHA256],
    ['CDHASH', CDHASH],
    ['TEAMID', 'abcde12345'],
    ['SIGNINGID', 'ABCDE12345:com.example.app'],
    ['SIGNINGID', 'ABCDE12345:odd:colons:inside'],
    ['SIGNINGID', 'platform:com.apple.curl'],
  ])('takes %s %s', (type, text) => {
    expect(identifierError(type, text)).toBeNull();
  });

  it.each<[RuleType, string, string]>([
    ['BINARY', '', 'Enter an identifier.'],
    ['BINARY', 'abc', '64 hexadecimal digits; this has 3.'],
    ['BINARY', CDHASH, 'this has 40. It fits CDHash.'],
    ['BINARY', `${SHA256} x`, 'cannot contain spaces'],
    ['CDHASH', SHA256, 'It fits Binary or Certificate.'],
    ['TEAMID', 'ABCDE1234', '10 letters and digits'],
    ['TEAMID', 'ABCDE12345:com.example.app', 'It fits Signing ID.'],
    ['SIGNINGID', 'com.example.app', 'TEAMID:identifier'],
    ['SIGNINGID', 'ABCDE12345:', 'TEAMID:identifier'],
  ])('refuses %s "%s"', (type, text, words) => {
    expect(identifierError(type, text)).toContain(words);
  });
});

describe('normalizeIdentifier', () => {
  it.each<[RuleType, string, string]>([
    ['BINARY', ` ${SHA256.toUpperCase()} `, SHA256],
    ['TEAMID', 'abcde12345', 'ABCDE12345'],
    ['SIGNINGID', 'abcde12345:com.Example.App', 'ABCDE12345:com.Example.App'],
    ['SIGNINGID', 'Platform:com.apple.curl', 'platform:com.apple.curl'],
    ['BINARY', ' not a hash ', 'not a hash'],
  ])('stores %s "%s" as Santa does', (type, text, stored) => {
    expect(normalizeIdentifier(type, text)).toBe(stored);
  });
});
