// Copies the built console and writes .br, .zst and .gz beside each file that
// gets smaller by it, with a manifest of everything. Same input, same output.
// Usage: node scripts/precompress.js FROM TO
import { createHash } from 'node:crypto';
import { cpSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { extname, join } from 'node:path';
import { brotliCompressSync, constants, gzipSync, zstdCompressSync } from 'node:zlib';

/** Files that are compressed already, or that no browser asks for. */
const LEFT_ALONE = new Set(['.png', '.jpg', '.webp', '.avif', '.woff2', '.gz', '.br', '.zst']);

/** Below this size a response fits one packet anyway; in bytes. */
const SMALLEST = 512;

const CODINGS = {
  br: (/** @type {Buffer} */ data) =>
    brotliCompressSync(data, {
      params: {
        [constants.BROTLI_PARAM_QUALITY]: 11,
        [constants.BROTLI_PARAM_SIZE_HINT]: data.length,
      },
    }),
  zst: (/** @type {Buffer} */ data) =>
    zstdCompressSync(data, { params: { [constants.ZSTD_c_compressionLevel]: 19 } }),
  gz: (/** @type {Buffer} */ data) => gzipSync(data, { level: 9 }),
};

const [from, to] = process.argv.slice(2);
if (!from || !to) {
  process.stderr.write('usage: node scripts/precompress.js FROM TO\n');
  process.exit(2);
}

cpSync(from, to, { recursive: true });
const paths = readdirSync(to, { recursive: true, withFileTypes: true })
  .filter((entry) => entry.isFile())
  .map((entry) => join(entry.parentPath, entry.name))
  .sort();

const files = paths.map((path) => {
  const data = readFileSync(path);
  /** @type {Record<string, number>} */
  const encoded = {};
  if (data.length >= SMALLEST && !LEFT_ALONE.has(extname(path))) {
    for (const [suffix, compress] of Object.entries(CODINGS)) {
      const smaller = compress(data);
      if (smaller.length < data.length) {
        writeFileSync(`${path}.${suffix}`, smaller);
        encoded[suffix] = smaller.length;
      }
    }
  }
  return {
    path: path.slice(to.length + 1),
    size: data.length,
    sha256: createHash('sha256').update(data).digest('hex'),
    encoded,
  };
});
writeFileSync(join(to, 'manifest.json'), `${JSON.stringify({ files }, null, '\t')}\n`);
