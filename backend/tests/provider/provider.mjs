// An OpenID provider for the tests of signing in: the real library, and faults that a test switches on.
// node provider.mjs PORT ISSUER_PATH CLIENT_ID CLIENT_SECRET PUBLIC_URL; PORT 0 takes a free one. Orders of logouts
// go to PUBLIC_URL, or to where a test says.
// Prints the issuer as one line when it listens.
import { createHmac, createPublicKey, generateKeyPairSync, randomUUID, sign } from 'node:crypto';
import { createServer } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import Provider from 'oidc-provider';

const [port, path, clientId, clientSecret, publicUrl] = process.argv.slice(2);

function rsaKey() {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  return { privateKey, jwk: { ...privateKey.export({ format: 'jwk' }), kid: randomUUID(), use: 'sig', alg: 'RS256' } };
}

const own = rsaKey();
const foreign = rsaKey();
let signing = own;
let published = [own];
let fault = {};
let people = {};
const calls = [];
const delivered = [];

const segment = (value) => Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url');
const publicJwk = ({ jwk: { kty, n, e, kid, use, alg } }) => ({ kty, n, e, kid, use, alg });
const pem = () => createPublicKey(own.privateKey).export({ type: 'spki', format: 'pem' });

/** Signs a token as the switched fault says; by default as the provider does. */
function resigned(payload, { header = {}, key, hmac, unsigned, cut, raw } = {}) {
  const head = { alg: 'RS256', typ: 'JWT', kid: signing.jwk.kid, ...header };
  for (const name of Object.keys(head)) if (head[name] === null) delete head[name];
  const input = `${segment(head)}.${segment(raw ?? payload)}`;
  if (unsigned) return `${input}.`;
  if (hmac) {
    const secret = hmac === 'secret' ? clientSecret : pem();
    return `${input}.${createHmac('sha256', secret).update(input).digest('base64url')}`;
  }
  const signature = sign('sha256', Buffer.from(input), (key === 'foreign' ? foreign : signing).privateKey);
  return `${input}.${signature.toString('base64url').slice(0, cut ? -8 : undefined)}`;
}

/** Changes claims: null removes one; numbers with + or - before them count from now. */
function changed(payload, claims = {}) {
  const result = { ...payload };
  for (const [name, value] of Object.entries(claims)) {
    if (value === null) delete result[name];
    else if (/^[+-]\d+$/.test(value)) result[name] = Math.floor(Date.now() / 1000) + Number(value);
    else result[name] = value;
  }
  return result;
}

const here = `http://127.0.0.1:${port === '0' ? await freePort() : port}`;
let server = publicUrl;

const provider = new Provider(here + path, {
  clients: [
    {
      client_id: clientId,
      client_secret: clientSecret,
      redirect_uris: [`${publicUrl}/api/v1/auth/oidc/callback`],
      post_logout_redirect_uris: [`${publicUrl}/login`],
      backchannel_logout_uri: `${here}/_backchannel`,
      backchannel_logout_session_required: true,
    },
  ],
  claims: {
    openid: [
      'sub', 'sid', 'name', 'preferred_username', 'email', 'roles', 'groups', 'oid', 'tid', 'hasgroups',
      '_claim_names', '_claim_sources',
    ],
    profile: ['zoneinfo'],
    email: ['email_verified'],
  },
  conformIdTokenClaims: false,
  cookies: { keys: [randomUUID()] },
  features: { backchannelLogout: { enabled: true }, devInteractions: { enabled: true } },
  fetch: (url, { dispatcher, ...options }) => fetch(url, options), // the library refuses this machine's addresses
  findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id, ...people[id] }) }),
  jwks: { keys: [own.jwk] },
  pkce: { required: () => true },
  rotateRefreshToken: true,
  ttl: { Session: 600, Interaction: 600, Grant: 600, AccessToken: 600, IdToken: 600, AuthorizationCode: 60 },
});
process.on('warning', () => {});
for (const name of ['server_error', 'backchannel.error']) provider.on(name, (...all) => console.error(name, ...all));

provider.use(async (ctx, next) => {
  calls.push(ctx.path);
  if (fault.slow && ctx.path.endsWith(fault.slow.path)) await sleep(fault.slow.seconds * 1000);
  if (fault.status && ctx.path.endsWith(fault.status.path)) {
    ctx.status = fault.status.code;
    ctx.body = fault.status.body ?? {};
    return;
  }
  await next();
  if (ctx.path.endsWith('/jwks')) ctx.body = { keys: published.map(publicJwk) };
  if (ctx.path.endsWith('/openid-configuration') && fault.metadata) ctx.body = { ...ctx.body, ...fault.metadata };
  if (ctx.path.endsWith('/token') && ctx.body?.id_token) {
    const payload = JSON.parse(Buffer.from(ctx.body.id_token.split('.')[1], 'base64url'));
    ctx.body = { ...ctx.body, id_token: resigned(changed(payload, fault.claims), fault.token) };
  }
});

const callback = provider.callback();

async function control(request, response) {
  let text = '';
  for await (const piece of request) text += piece;
  const order = text ? JSON.parse(text) : {};
  let answer = {};
  if (order.reset) {
    [signing, published, fault, people] = [own, [own], {}, {}];
    calls.length = delivered.length = 0;
  }
  if (order.fault) fault = order.fault;
  if (order.people) people = order.people;
  if (order.server) server = order.server;
  if (order.rotate) {
    signing = rsaKey();
    published = order.rotate === 'withdraw' ? [signing] : [...published, signing];
  }
  if (order.calls) answer = { calls: calls.splice(0), delivered: delivered.splice(0) };
  if (order.token) answer = { token: resigned(changed({}, order.token.claims), order.token) };
  response.setHeader('content-type', 'application/json').end(JSON.stringify(answer));
}

const graph = { status: 200, pages: [] };

const listener = createServer(async (request, response) => {
  if (request.url === '/_control') return control(request, response);
  if (request.url === '/_backchannel') {
    let body = '';
    for await (const piece of request) body += piece;
    const { 'content-type': type } = request.headers;
    const options = { method: 'POST', headers: { 'content-type': type }, body };
    const sent = await fetch(`${server}/api/v1/auth/oidc/backchannel`, options);
    delivered.push(sent.status);
    return response.writeHead(sent.status).end();
  }
  if (request.url === '/_graph') {
    let text = '';
    for await (const piece of request) text += piece;
    Object.assign(graph, JSON.parse(text));
    return response.end();
  }
  if (request.url.startsWith('/v1.0/')) {
    calls.push(request.url);
    if (graph.hang) return undefined;
    const number = Number(new URL(request.url, 'http://x').searchParams.get('page') ?? 0);
    const more = number + 1 < graph.pages.length;
    const next = `${here}/v1.0/me?page=${number + 1}`;
    response.statusCode = request.headers.authorization?.startsWith('Bearer ') ? graph.status : 401;
    const value = (graph.pages[number] ?? []).map((id) => ({ id }));
    return response.end(JSON.stringify({ value, ...(more ? { '@odata.nextLink': next } : {}) }));
  }
  if (path) {
    request.originalUrl = request.url;
    if (!request.url.startsWith(path)) return response.writeHead(404).end();
    request.url = request.url.slice(path.length) || '/';
  }
  return callback(request, response);
});
listener.listen(Number(new URL(provider.issuer).port), '127.0.0.1', () => console.log(provider.issuer));

async function freePort() {
  const probe = createServer();
  await new Promise((resolve) => probe.listen(0, '127.0.0.1', resolve));
  const { port: free } = probe.address();
  await new Promise((resolve) => probe.close(resolve));
  return free;
}
