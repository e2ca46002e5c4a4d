// The console as a Node server gives it out: with sirv, as SvelteKit's own adapter does.
//   node static.mjs FOLDER-OF-PACKAGES WWW PORT
import { createServer } from 'node:http';
import { createRequire } from 'node:module';

const [, , packages, www, port] = process.argv;
const sirv = createRequire(`${packages}/package.json`)('sirv');
const files = sirv(www, { brotli: true, gzip: true, etag: true, single: true });
createServer((request, response) => files(request, response)).listen(Number(port), '127.0.0.1');
