// Makes HTML and search texts of the documentation's Markdown, at build time. Pure.
import { Marked, type Token, type Tokens } from 'marked';
import { PAGES, docPath } from '../src/lib/docs/contents.ts';
import type { DocHeading, DocPage, DocSearchSection } from '../src/lib/docs/types.ts';

/** The page that `source`, a file below `docs/`, becomes. */
export function renderPage(source: string, file: string): DocPage {
  const tokens = new Marked().lexer(source);
  const headings = headingsOf(tokens);
  const ids = headings.map((heading) => heading.id).values();
  const marked = new Marked({
    renderer: {
      heading({ tokens: inline, depth }) {
        const text = this.parser.parseInline(inline);
        return `<h${String(depth)} id="${ids.next().value ?? ''}">${text}</h${String(depth)}>\n`;
      },
      link({ href, tokens: inline }) {
        return link(href, file, this.parser.parseInline(inline));
      },
      // A wide table or block scrolls in a box of its own, which the keyboard reaches.
      code: ({ text, lang }) =>
        `<pre tabindex="0"${lang ? ` data-language="${escaped(lang)}"` : ''}><code>${escaped(text)}</code></pre>\n`,
      table(table) {
        const row = (cells: readonly Tokens.TableCell[], name: 'th' | 'td') =>
          `<tr>${cells.map((cell) => tableCell(name, this.parser.parseInline(cell.tokens))).join('')}</tr>`;
        const rows = table.rows.map((cells) => row(cells, 'td')).join('');
        return `<div class="table" tabindex="0"><table><thead>${row(table.header, 'th')}</thead><tbody>${rows}</tbody></table></div>\n`;
      },
      // Only Markdown is trusted to be well-formed.
      html: ({ text }) => (text.startsWith('<!--') ? '' : escaped(text)),
      image: ({ text }) => escaped(text),
    },
  });
  const html = marked.parser(tokens);
  return { title: titleOf(headings, file), html, headings: headings.slice(1) };
}

/** The texts of a page for the search. */
export function searchSections(source: string, file: string, slug: string): DocSearchSection[] {
  const tokens = new Marked().lexer(source);
  const headings = headingsOf(tokens);
  const title = titleOf(headings, file);
  const sections: DocSearchSection[] = [{ slug, title, heading: '', anchor: '', text: '' }];
  const at = headings.values();
  for (const token of tokens) {
    const heading = token.type === 'heading' ? at.next().value : undefined;
    if (heading && heading.depth > 1 && heading.depth < 4)
      sections.push({ slug, title, heading: heading.text, anchor: heading.id, text: '' });
    const last = sections.at(-1);
    if (last && heading?.text !== last.heading && heading?.depth !== 1)
      last.text = `${last.text} ${textOf(token)}`.replace(/\s+/g, ' ').trim();
  }
  return sections;
}

/** The anchor of a heading, as GitHub makes it, so that links work there too. */
export function anchorOf(text: string): string {
  return text
    .toLowerCase()
    .replace(/[^\p{L}\p{N}\p{M} _-]/gu, '')
    .replaceAll(' ', '-');
}

/** Where a link of `file` leads in the console; null when its target is not part of the documentation. */
export function target(href: string, file: string): string | null {
  if (/^[a-z]+:/i.test(href) || href.startsWith('#')) return href;
  const url = new URL(href, `file:///docs/${file}`);
  const page = PAGES.find((one) => `/docs/${one.file}` === url.pathname);
  return page ? docPath(page.slug, url.hash.slice(1)) : null;
}

function link(href: string, file: string, text: string): string {
  const to = target(href, file);
  if (to === null) return text;
  const external = /^[a-z]+:/i.test(to) ? ' rel="noreferrer external"' : '';
  return `<a href="${escaped(to)}"${external}>${text}</a>`;
}

const tableCell = (name: 'th' | 'td', html: string) =>
  // The corner above row names is no heading of anything.
  name === 'th' && html ? `<th scope="col">${html}</th>` : `<td>${html}</td>`;

function headingsOf(tokens: readonly Token[]): DocHeading[] {
  const taken = new Map<string, number>();
  return tokens.filter(isHeading).map(({ tokens: inline, depth }) => {
    const text = inline.map(textOf).join('');
    const anchor = anchorOf(text);
    const before = taken.get(anchor) ?? 0;
    taken.set(anchor, before + 1);
    return { id: before ? `${anchor}-${String(before)}` : anchor, text, depth };
  });
}

function isHeading(token: Token): token is Tokens.Heading {
  return token.type === 'heading';
}

function titleOf(headings: readonly DocHeading[], file: string): string {
  const [first] = headings;
  if (first?.depth !== 1 || headings.filter(({ depth }) => depth === 1).length > 1)
    throw new Error(`docs/${file} must begin with its title, the only heading of the first level`);
  return first.text;
}

/** The text of a token without its markup. */
function textOf(token: Token): string {
  if (token.type === 'html' || token.type === 'space') return '';
  if (token.type === 'table') {
    const { header, rows } = token as Tokens.Table;
    return [header, ...rows].flat().map(cellText).join(' ');
  }
  if (token.type === 'list') return (token as Tokens.List).items.map(textOf).join(' ');
  const inner = 'tokens' in token ? token.tokens : undefined;
  if (inner) return inner.map(textOf).join('');
  return token.type === 'br' ? ' ' : 'text' in token ? unescaped(String(token.text)) : '';
}

const cellText = (cell: Tokens.TableCell) => cell.tokens.map(textOf).join('');

const ENTITIES = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' } as const;

function escaped(text: string): string {
  return text.replace(/[&<>"]/g, (found) => ENTITIES[found as keyof typeof ENTITIES]);
}

function unescaped(text: string): string {
  return Object.entries(ENTITIES).reduceRight(
    (result, [plain, entity]) => result.replaceAll(entity, plain),
    text.replaceAll('&#39;', "'"),
  );
}
