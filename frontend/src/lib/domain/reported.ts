// Text that Macs reported, such as file names: characters that are invisible or reorder the text around them
// are named, so that "exe‹U+202E›fdp.app" cannot pass for "exeppa.pdf". Pure.

interface Piece {
  /** Where it stands in the text: a name for lists. */
  at: number;
  text: string;
  /** "U+202E" in place of a character that cannot be seen. */
  code?: string;
}

/**
 * Emoji, which may be joined by characters that cannot be seen, or one such character: controls (among them those of
 * writing direction), formats, tags, unassigned and private ones, separators and all spaces but the ordinary one.
 */
const UNSEEN = /\p{RGI_Emoji}|[[\p{C}\p{Z}\p{Default_Ignorable_Code_Point}]--[ ]]/gv;
const EMOJI = /^\p{RGI_Emoji}$/v;

/** Letters that are written from right to left. */
const RIGHT_TO_LEFT =
  /[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc\u{10800}-\u{10fff}\u{1e800}-\u{1efff}]/u;
const ISOLATE = ['\u2068', '\u2069'] as const;

/** Names of the characters that are found in attacks. */
const NAMES: Readonly<Record<string, string>> = {
  'U+0000': 'null',
  'U+0009': 'tab',
  'U+000A': 'line feed',
  'U+000D': 'carriage return',
  'U+0085': 'next line',
  'U+00A0': 'no-break space',
  'U+00AD': 'soft hyphen',
  'U+061C': 'Arabic letter mark',
  'U+200B': 'zero width space',
  'U+200C': 'zero width non-joiner',
  'U+200D': 'zero width joiner',
  'U+200E': 'left-to-right mark',
  'U+200F': 'right-to-left mark',
  'U+2028': 'line separator',
  'U+2029': 'paragraph separator',
  'U+202A': 'left-to-right embedding',
  'U+202B': 'right-to-left embedding',
  'U+202C': 'pop directional formatting',
  'U+202D': 'left-to-right override',
  'U+202E': 'right-to-left override',
  'U+2060': 'word joiner',
  'U+2066': 'left-to-right isolate',
  'U+2067': 'right-to-left isolate',
  'U+2068': 'first strong isolate',
  'U+2069': 'pop directional isolate',
  'U+FEFF': 'byte order mark',
};

/** What a character is, for a tooltip: "Invisible character: right-to-left override (U+202E)". */
export function explainCode(code: string): string {
  const name = NAMES[code];
  return `Invisible character: ${name ? `${name} (${code})` : code}`;
}

/** The text in pieces: what can be seen as it is, each other character by its code. */
export function pieces(text: string): Piece[] {
  const found: Piece[] = [];
  let from = 0;
  for (const match of text.matchAll(UNSEEN)) {
    if (EMOJI.test(match[0])) continue;
    if (match.index > from) found.push({ at: from, text: text.slice(from, match.index) });
    found.push({ at: match.index, text: match[0], code: codeOf(match[0]) });
    from = match.index + match[0].length;
  }
  if (from < text.length) found.push({ at: from, text: text.slice(from) });
  return found;
}

/** For places without markup, such as titles and messages: codes in ‹›, right-to-left text isolated. */
export function reported(text: string): string {
  const shown = pieces(text)
    .map((piece) => (piece.code ? `‹${piece.code}›` : piece.text))
    .join('');
  return RIGHT_TO_LEFT.test(shown) ? `${ISOLATE[0]}${shown}${ISOLATE[1]}` : shown;
}

/** The codes of the characters in a text that cannot be seen, each once. */
export function unseenIn(text: string): string[] {
  return [...new Set(pieces(text).flatMap(({ code }) => code ?? []))];
}

function codeOf(character: string): string {
  const point = character.codePointAt(0) ?? 0;
  return `U+${point.toString(16).toUpperCase().padStart(4, '0')}`;
}
