// Which files of the build a page needs, by Vite's manifest.

/** By module or chunk: the file it becomes, what that imports, and its styles. */
export type Manifest = Readonly<
  Record<string, { file: string; imports?: readonly string[]; css?: readonly string[] }>
>;

/** The files that have to be there before the modules `keys` can run, each once, what is imported first. */
export function filesOf(manifest: Manifest, keys: readonly string[]): string[] {
  const seen = new Set<string>();
  const files = new Set<string>();
  const visit = (key: string) => {
    if (seen.has(key)) return;
    seen.add(key);
    const chunk = manifest[key];
    if (!chunk) throw new Error(`Vite's manifest has no ${key}`);
    chunk.imports?.forEach(visit);
    for (const file of [chunk.file, ...(chunk.css ?? [])]) files.add(file);
  };
  keys.forEach(visit);
  return [...files];
}

/**
 * The error about modules that start with the page although they read SvelteKit's payload: `entry` sets it only after its
 * own imports are evaluated, so the version would be undefined and every page that is not found would reload forever.
 */
export function readTooEarly(manifest: Manifest, entry: string, payload: string): string {
  const early = Object.entries(manifest)
    .filter(([key, { file }]) => key !== entry && filesOf(manifest, [entry]).includes(file))
    .filter(([, { imports }]) => imports?.includes(payload))
    .map(([key]) => key);
  return early.length === 0
    ? ''
    : `${entry} must not import what reads ${payload}; give what they share a file of its own: ${early.join(', ')}`;
}

/** The page with preload links for `files`, without duplicates. */
export function withPreloads(html: string, files: readonly string[]): string {
  const links = files
    .filter((file) => !html.includes(`"/${file}"`))
    .map((file) =>
      file.endsWith('.css')
        ? `<link href="/${file}" rel="stylesheet">`
        : `<link href="/${file}" rel="modulepreload">`,
    );
  return html.replace('</head>', () => `${links.map((link) => `\t${link}\n  `).join('')}</head>`);
}

/** By the id of a route: the number of its page's module, and those of its layouts and error pages. */
export function routesOf(app: string): Map<string, { page: number; frame: number[] }> {
  const entries = app.matchAll(/^\s*"(\/[^"]*)": \[~?(\d+)((?:,\[[\d,~]*\])*)\]/gm);
  const found = Array.from(entries, ([, id = '', page = '', frame = '']) => {
    const numbers = Array.from(frame.matchAll(/\d+/g), ([number]) => Number(number));
    return [id, { page: Number(page), frame: numbers }] as const;
  });
  if (found.length === 0) throw new Error('SvelteKit writes its routes in another way');
  return new Map(found);
}

/** The error about pages that are larger than `most` bytes; nothing when none is. */
export function tooLarge(sizes: ReadonlyMap<string, number>, most: number): string {
  const kilobytes = (bytes: number) => `${(bytes / 1000).toFixed(1)} kB`;
  const found = [...sizes].filter(([, size]) => size > most);
  if (found.length === 0) return '';
  const pages = found.map(([page, size]) => `  ${page}: ${kilobytes(size)}`);
  return [
    `A page may have ${kilobytes(most)} of HTML, scripts and styles, compressed by gzip. These have more:`,
    ...pages,
  ].join('\n');
}
