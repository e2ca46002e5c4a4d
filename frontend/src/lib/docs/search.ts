// The search in the documentation: every word of the query has to begin a word of a section. Pure.
import type { DocSearchSection } from './types.ts';

export interface DocHit {
  section: DocSearchSection;
  /** A part of the text around the first word found. */
  excerpt: string;
}

/** Most hits that are shown. */
export const MOST_HITS = 12;
/** Length of an excerpt before and after what was found, in characters. */
const AROUND = 70;
const WEIGHTS = { title: 6, heading: 8, text: 1 } as const;
/** More occurrences in a text than this do not make it better. */
const ENOUGH = 5;

/** The sections that have all words of `query`, the best first. */
export function search(sections: readonly DocSearchSection[], query: string): DocHit[] {
  const words = wordsOf(query);
  if (words.length === 0) return [];
  const scored = sections.map((section) => ({ section, score: score(section, words) }));
  return scored
    .filter((one) => one.score > 0)
    .sort((one, other) => other.score - one.score)
    .slice(0, MOST_HITS)
    .map(({ section }) => ({ section, excerpt: excerpt(section.text, words) }));
}

function wordsOf(text: string): string[] {
  return text.toLowerCase().match(/[\p{L}\p{N}_]+/gu) ?? [];
}

/** Zero when a word is missing. */
function score(section: DocSearchSection, words: readonly string[]): number {
  let sum = 0;
  for (const word of words) {
    const found = (Object.keys(WEIGHTS) as (keyof typeof WEIGHTS)[]).map(
      (part) => WEIGHTS[part] * Math.min(ENOUGH, beginnings(section[part], word)),
    );
    const best = found.reduce((one, other) => one + other, 0);
    if (best === 0) return 0;
    sum += best;
  }
  return sum;
}

/** How many words of `text` begin with `word`. */
function beginnings(text: string, word: string): number {
  return wordsOf(text).filter((one) => one.startsWith(word)).length;
}

function excerpt(text: string, words: readonly string[]): string {
  const lower = text.toLowerCase();
  const places = words.map((word) => lower.indexOf(word)).filter((place) => place >= 0);
  const at = places.length > 0 ? Math.min(...places) : 0;
  const from = Math.max(0, at - AROUND);
  const to = Math.min(text.length, at + AROUND);
  return `${from > 0 ? '…' : ''}${text.slice(from, to).trim()}${to < text.length ? '…' : ''}`;
}
