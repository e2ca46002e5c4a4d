// The Content-Security-Policy allows the inline content of the page by its hash: the scripts of app.html here, the one
// style attribute of SvelteKit's page announcer. SvelteKit adds the scripts it writes itself.

type Digest = (text: string) => string;
export type Source = `sha256-${string}`;

/** CSP sources (`sha256-…`) of the inline scripts in a page, in order; `digest` gives the SHA-256 of a text as base64. */
export function inlineScriptHashes(html: string, digest: Digest): Source[] {
  return sources(html.matchAll(/<script>([\s\S]*?)<\/script>/g), digest);
}

/** CSP sources of the style attributes with a fixed text in a component. */
export function styleAttributeHashes(component: string, digest: Digest): Source[] {
  return sources(component.matchAll(/\sstyle="([^"{]*)"/g), digest);
}

function sources(matches: Iterable<RegExpExecArray>, digest: Digest): Source[] {
  return Array.from(matches, (match) => `sha256-${digest(match[1] ?? '')}` as const);
}
