import { describe, expect, test } from 'vitest';
import { MOST_HITS, search } from './search.ts';
import type { DocSearchSection } from './types.ts';

const section = (heading: string, text: string, title = 'Page'): DocSearchSection => ({
  slug: 'page',
  title,
  heading,
  anchor: heading.toLowerCase(),
  text,
});
const SECTIONS = [
  section('Backup', 'Keep the database and SECRET_KEY.'),
  section('Upgrade', 'Make a backup first. Then replace the container.'),
  section('Macs', `${'word '.repeat(60)}santactl sync ${'word '.repeat(60)}`),
];
const found = (query: string) => search(SECTIONS, query).map((hit) => hit.section.heading);

describe('the search', () => {
  test('finds sections that have all words, also by their beginning and in any case', () => {
    expect(found('contain REPLACE')).toEqual(['Upgrade']);
    expect(found('secret_key')).toEqual(['Backup']);
    expect(found('container nothing')).toEqual([]);
    expect(found('ackup')).toEqual([]);
  });

  test('puts what is in a heading before what is in the text', () => {
    expect(found('backup')).toEqual(['Backup', 'Upgrade']);
  });

  test('finds nothing without words', () => {
    expect(found('')).toEqual([]);
    expect(found('  –  ')).toEqual([]);
  });

  test('shows the text around what was found', () => {
    const [hit] = search(SECTIONS, 'santactl');
    expect(hit?.excerpt).toMatch(/^….*santactl sync.*…$/);
    expect(search(SECTIONS, 'database')[0]?.excerpt).toBe('Keep the database and SECRET_KEY.');
  });

  test('shows no more than fit', () => {
    const many = Array.from({ length: 50 }, (_, at) => section(`H${String(at)}`, 'same'));
    expect(search(many, 'same')).toHaveLength(MOST_HITS);
  });
});
