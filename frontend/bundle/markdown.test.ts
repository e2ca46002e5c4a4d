import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { EVERYWHERE, MDMS } from '../src/lib/domain/mdm.ts';
import { PAGES, docPath } from '../src/lib/docs/contents.ts';
import { anchorOf, renderPage, searchSections, target } from './markdown.ts';

const DOCS = join(import.meta.dirname, '../../docs');
const source = (file: string) => readFileSync(join(DOCS, file), 'utf8');
const plain = (text: string) => text.replaceAll('`', '');

describe('a page', () => {
  const made = renderPage(
    '<!-- generated -->\n\n# A *title*\n\n## Two `words`\n\n## Two words\n\n<b>x</b> [y](z.md) [o](../operations.md#health)\n\n| a | |\n|---|---|\n| 1 < 2 | `x` |\n\n```sh\na && "b"\n```\n',
    'guide/x.md',
  );

  test('has its title and its headings with anchors as GitHub makes them', () => {
    expect(made.title).toBe('A title');
    expect(made.headings.map(({ id }) => id)).toEqual(['two-words', 'two-words-1']);
    expect(made.html).toContain('<h2 id="two-words-1">Two words</h2>');
  });

  test('contains no HTML of its own', () => {
    expect(made.html).not.toContain('generated');
    expect(made.html).toContain('&lt;b&gt;x&lt;/b&gt;');
    expect(made.html).toContain('<td>1 &lt; 2</td>');
    expect(made.html).toContain('a &amp;&amp; &quot;b&quot;');
  });

  test('links to other pages, and only to them', () => {
    expect(made.html).toContain('<a href="/docs/operations/#health">o</a>');
    expect(made.html).toContain(' y ');
    expect(target('https://example.com/', 'operations.md')).toBe('https://example.com/');
    expect(target('guide/tls.md', 'operations.md')).toBe('/docs/tls/');
    expect(target('../docker/santa.toml', 'operations.md')).toBeNull();
  });

  test('needs exactly one title, at its beginning', () => {
    expect(() => renderPage('## x\n', 'x.md')).toThrow('docs/x.md must begin with its title');
    expect(() => renderPage('# x\n\n# y\n', 'x.md')).toThrow('only heading of the first level');
  });
});

test('the search has the text under each heading, without markup', () => {
  const text =
    '# T\n\nIntro.\n\n## A `b`\n\n- one *two*\n\n| x |\n|---|\n| y & z |\n\n### C\n\nDeep.\n';
  expect(searchSections(text, 'x.md', 'x')).toEqual([
    { slug: 'x', title: 'T', heading: '', anchor: '', text: 'Intro.' },
    { slug: 'x', title: 'T', heading: 'A b', anchor: 'a-b', text: 'one two x y & z' },
    { slug: 'x', title: 'T', heading: 'C', anchor: 'c', text: 'Deep.' },
  ]);
});

test('anchors drop punctuation and keep letters of any language', () => {
  expect(anchorOf('Podman (Quadlet): “größer”')).toBe('podman-quadlet-größer');
});

describe('the documentation', () => {
  test('has every page of the guide in its contents, under the title of the page', () => {
    const files = readdirSync(join(DOCS, 'guide')).map((name) => `guide/${name}`);
    const listed = PAGES.map(({ file }) => file);
    expect(listed.filter((file) => file.startsWith('guide/')).sort()).toEqual(files.sort());
    for (const { file, title } of PAGES) expect(renderPage(source(file), file).title).toBe(title);
  });

  test('has no link to a page or heading that does not exist', () => {
    const pages = new Map(
      PAGES.map(({ slug, file }) => [docPath(slug), renderPage(source(file), file)]),
    );
    const broken = [...pages].flatMap(([path, { html }]) =>
      Array.from(html.matchAll(/href="((?:\/docs\/|#)[^"]*)"/g), ([, href = '']) => {
        const { pathname, hash } = new URL(href, `http://x${path}`);
        const page = pages.get(pathname);
        const found = !hash || page?.html.includes(`id="${decodeURIComponent(hash.slice(1))}"`);
        return page && found ? [] : [`${path}: ${href}`];
      }).flat(),
    );
    expect(broken).toEqual([]);
  });

  test('says of each MDM what the dialog of the console says', () => {
    const page = plain(source('guide/mdm.md'));
    for (const { name, file, steps, traps } of MDMS)
      for (const text of [`## ${name}`, file, ...steps, ...traps]) expect(page).toContain(text);
    for (const command of EVERYWHERE.join(' ').match(/`[^`]*`/g) ?? [])
      expect(page).toContain(plain(command));
  });
});
