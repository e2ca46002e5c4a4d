import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { inlineScriptHashes, styleAttributeHashes } from './csp-hashes.ts';

const read = (path: string) => readFileSync(new URL(path, import.meta.url), 'utf8');
const plain = (text: string) => `<${text}>`;

describe('content security policy', () => {
  it('names each inline script by what stands between its tags', () => {
    const html = '<script>a</script><p></p><script>b\n</script><script src="/x.js"></script>';
    expect(inlineScriptHashes(html, plain)).toEqual(['sha256-<a>', 'sha256-<b\n>']);
  });

  it('finds the one inline script of the page', () => {
    expect(inlineScriptHashes(read('src/app.html'), plain)).toHaveLength(1);
  });

  it('finds the style of SvelteKit’s announcer; when this fails, an update of SvelteKit moved it', () => {
    const component = read('node_modules/@sveltejs/kit/src/runtime/components/root.svelte');
    expect(styleAttributeHashes(component, plain)).toHaveLength(1);
  });
});
