import { describe, expect, it } from 'vitest';
import { explainCode, pieces, reported, unseenIn } from './reported.ts';

const shown = (text: string) => pieces(text).map(({ code, text: plain }) => code ?? plain);

describe('pieces', () => {
  it('leaves what can be seen as it is', () => {
    for (const text of [
      'Firefox',
      'Größe 7',
      '微信',
      'مستندات',
      'e\u0301',
      '/Applications/A B.app',
    ]) {
      expect(shown(text)).toEqual([text]);
    }
    expect(shown('')).toEqual([]);
  });

  it.each([
    ['right-to-left override', 'exe\u202efdp.app', ['exe', 'U+202E', 'fdp.app']],
    ['isolates', '\u2066a\u2069', ['U+2066', 'a', 'U+2069']],
    ['zero width joiner', 'Safari\u200d', ['Safari', 'U+200D']],
    ['next line', 'a\u0085b', ['a', 'U+0085', 'b']],
    ['a tag', 'a\u{e0041}b', ['a', 'U+E0041', 'b']],
    ['line feed and escape', '\n\u001b[31m', ['U+000A', 'U+001B', '[31m']],
    ['odd spaces', 'a\u00a0b\u3000c', ['a', 'U+00A0', 'b', 'U+3000', 'c']],
    ['Hangul filler, which is a letter', '\u3164', ['U+3164']],
    ['variation selector', 'A\ufe0f', ['A', 'U+FE0F']],
    ['lone surrogate', 'a\ud800', ['a', 'U+D800']],
    ['private use', '\uf8ff', ['U+F8FF']],
    ['several in a row', '\u200b\u200b', ['U+200B', 'U+200B']],
  ])('names %s', (_, text, expected) => {
    expect(shown(text)).toEqual(expected);
  });

  it('takes emoji for what they look like', () => {
    for (const text of ['👩‍💻', '❤️', '🏴󠁧󠁢󠁳󠁣󠁴󠁿', '🇩🇪', 'Notes 📝']) expect(shown(text)).toEqual([text]);
    expect(shown('👩\u200dx')).toEqual(['👩', 'U+200D', 'x']);
  });
});

describe('reported', () => {
  it('names characters where no markup is possible', () => {
    expect(reported('exe\u202efdp.app')).toBe('exe‹U+202E›fdp.app');
    expect(reported('MacBook')).toBe('MacBook');
  });

  it('keeps what is written to the left apart from the words around it', () => {
    expect(reported('מחשב 7')).toBe('\u2068מחשב 7\u2069');
    expect(reported('مستند')).toBe('\u2068مستند\u2069');
  });
});

it('says what a character is', () => {
  expect(explainCode('U+202E')).toBe('Invisible character: right-to-left override (U+202E)');
  expect(explainCode('U+E0041')).toBe('Invisible character: U+E0041');
  expect(unseenIn('\u202ea\u202e\u200b')).toEqual(['U+202E', 'U+200B']);
});
