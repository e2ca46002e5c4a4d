// Every component shows reported text by Reported.svelte or `reported`.
import { globSync, readFileSync } from 'node:fs';
import { parse } from 'svelte/compiler';
import { expect, it } from 'vitest';

/** Names of variables with reported text. */
const FROM_MACS =
  /\bmachineName\(|\bclaim\b|\.(?:hostname|machine_id|serial|model|(?:primary|executing)_user|file_(?:name|path)|bundle_(?:name|id|version)|publisher|parent_name|signing_id|team_id|cdhash|identifier|rule_name|target|comment|cn|org|ou)\b/;
const ISOLATED = /\breported\(|\.map\(reported\)/;
/** Attributes, and properties of components, that people read. */
const READ = new Set(['title', 'aria-label', 'placeholder', 'alt', 'label', 'help']);

/** The expressions in a component that people see as they are. */
function shown(source: string): string[] {
  const found: string[] = [];
  const visit = (node: unknown) => {
    if (Array.isArray(node)) return node.forEach(visit);
    if (typeof node !== 'object' || node === null) return;
    const { type, name, start, end } = node as Record<string, unknown>;
    if (type === 'Attribute' && !READ.has(String(name))) return;
    if (type === 'ExpressionTag') found.push(source.slice(Number(start) + 1, Number(end) - 1));
    Object.values(node).forEach(visit);
  };
  visit(parse(source, { modern: true }).fragment);
  return found;
}

const bare = (source: string) =>
  shown(source).filter((text) => FROM_MACS.test(text) && !ISOLATED.test(text));

it('sees text and attributes that are read, and nothing else', () => {
  expect(bare('<b>{event.file_name}</b>')).toEqual(['event.file_name']);
  expect(bare('<Modal title="On {machineName(one)}" />')).toEqual(['machineName(one)']);
  expect(bare('{#if a}<i>{a.hostname || "–"}</i>{/if}')).toEqual(['a.hostname || "–"']);
  expect(bare('<li>{claim}</li>')).toEqual(['claim']);
  expect(bare('<Reported text={event.file_name} />')).toEqual([]);
  expect(bare('<a href={machineLink(one.machine_id)}>{reported(one.hostname)}</a>')).toEqual([]);
  expect(bare('{#each items as item (item.machine_id)}x{/each}')).toEqual([]);
});

it('is so in all components', () => {
  const files = globSync('src/**/*.svelte');
  expect(files.length).toBeGreaterThan(80);
  const found = files.flatMap((path) =>
    bare(readFileSync(path, 'utf8')).map((text) => `${path}: {${text}}`),
  );
  expect(found).toEqual([]);
});
