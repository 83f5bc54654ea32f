// The gate: what it refuses by itself, what it forwards and how, and that both are what the server would have said.
import { describe, expect, test } from 'vitest';

import { createApp } from '../src/app.ts';
import { ControlPlane } from '../src/control-plane.ts';
import { createGate } from '../src/gate.ts';
import { MAX_BODY_BYTES } from '../src/limits.ts';
import { openApiDocument } from '../src/openapi/document.ts';
import { type ProblemCode, PROBLEMS } from '../src/problems.ts';
import { asksForWebSocket } from '../src/routes/feed.ts';
import { encodeUtf8 } from '../src/utf8.ts';
import { accessBy } from './support/access.ts';
import { cellEvent, formationEvent, STARTED } from './support/given.ts';
import { ManualClock } from './support/manual-clock.ts';
import { MemoryEventLog } from './support/memory-event-log.ts';
import { silentLogger } from './support/system.ts';

// Its base64 has no padding and is the same in base64url.
const TOKEN = 's3cret';
const ORIGIN = 'https://cellos.example:8443';
const ID = '0f8fad5b-d9cb-469f-a165-70867728950e';
const OTHER_ID = '7c9e6679-7425-40de-944b-e07fc1f90ae7';
const HANDSHAKE = {
  upgrade: 'websocket',
  'sec-websocket-version': '13',
  'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==',
};

const access = accessBy(TOKEN);

interface Asked {
  readonly method: string;
  readonly path: string;
  /** One that is null is left out. */
  readonly headers?: Readonly<Record<string, string | null>>;
  readonly body?: string | Uint8Array<ArrayBuffer> | undefined;
  /** Sent as a stream, without a length. */
  readonly streamed?: boolean;
}

/** Made anew for whoever is asked: a body can be read once. */
function requestOf({ method, path, headers = {}, body, streamed = false }: Asked): Request {
  const bytes = typeof body === 'string' ? encodeUtf8(body) : body;
  const length = bytes === undefined || streamed ? null : String(bytes.byteLength);
  // An id of the client's, or each answer would have another.
  const all = {
    authorization: `Bearer ${TOKEN}`,
    'content-length': length,
    'x-request-id': 'same',
    ...headers,
  };
  const sent = Object.entries(all).filter((header): header is [string, string] => header[1] !== null);
  const init = { method, headers: sent };
  if (bytes === undefined) return new Request(ORIGIN + path, init);
  const content = streamed ? { body: new Response(bytes).body, duplex: 'half' } : { body: bytes };
  return new Request(ORIGIN + path, { ...init, ...content } as RequestInit);
}

/** A gate, what reached the server behind it, and what it warned of. */
function gateBefore(answer: (request: Request) => Response | Promise<Response> = () => new Response()) {
  const reached: Request[] = [];
  const warnings: unknown[] = [];
  const gate = createGate({
    access,
    logger: { ...silentLogger, warn: (...line) => void warnings.push(line) },
    forward: async (request) => {
      reached.push(request);
      return answer(request);
    },
  });
  return { gate, reached, warnings };
}

/** A server, with one formation and one cell once it serves. */
async function createServer({ started = true } = {}) {
  const log = new MemoryEventLog();
  log.append(formationEvent('created', { formationId: ID, formationName: 'web' }));
  log.append(cellEvent(STARTED, 'cell'));
  const clock = new ManualClock();
  const controlPlane = new ControlPlane({ log, clock, logger: silentLogger });
  if (started) {
    controlPlane.start();
    await controlPlane.whenServing();
  }
  const build = { gitSha: null };
  const app = createApp({ controlPlane, access, clock, logger: silentLogger, build });
  // Opening a socket is the adapter's; here it is enough that the server would.
  const upgrade = () => new Response('upgraded');
  return (request: Request) => app.fetch(request, asksForWebSocket(request.headers) ? upgrade : null);
}

async function contentOf(response: Response) {
  return { status: response.status, headers: [...response.headers], body: await response.text() };
}

type Extra = Omit<Asked, 'method' | 'path'>;
type Headers = Asked['headers'];
const ask = (method: string, path: string, extra: Extra = {}): Asked => ({ method, path, ...extra });
const get = (path: string, headers: Headers = {}) => ask('GET', path, { headers });
const feed = (query: string, headers: Headers = {}) =>
  get(`/ws/events${query}`, { ...HANDSHAKE, ...headers });
const create = (body: Asked['body'], extra: Extra = {}) => ask('POST', '/v1/formations', { ...extra, body });
const status = (body: Asked['body'], type: string | null = 'application/json', id = ID) =>
  ask('POST', `/v1/formations/${id}/status`, { headers: { 'content-type': type }, body });

const ANONYMOUS = { authorization: null };
const PROTOCOLS = `cellos.v1, cellos.bearer.${btoa(TOKEN)}`;
const BROWSER = { ...ANONYMOUS, 'sec-websocket-protocol': PROTOCOLS };
const NOT_UTF8 = Uint8Array.of(0x22, 0xff, 0x22);
const HUGE = 'x'.repeat(MAX_BODY_BYTES + 1);
const LEAD = { id: 'lead' };
const document = (members: readonly object[], rest: object = {}) =>
  JSON.stringify({ name: 'api', coordinator: 'lead', members: [LEAD, ...members], ...rest });
const CYCLE = [{ id: 'a', authorizedBy: 'a' }];
const GREEDY = [{ id: 'a', authorizedBy: 'lead', authority: { secretRefs: ['s'] } }];

type Refused = [what: string, code: ProblemCode, asked: Asked, status?: number];

const KEYED = (key: string) => ({ 'content-type': 'application/json', 'idempotency-key': key });
const RUNNING = '{"state":"RUNNING"}';

const refused: Refused[] = [
  ['a min_cursor that is no number', 'bad-request', get('/v1/formations?min_cursor=x')],
  ['a min_cursor given twice', 'bad-request', get('/v1/cells/a?min_cursor=1&min_cursor=1')],
  ['an empty idempotency key', 'bad-request', create(document([]), { headers: KEYED('') })],
  ['one that is too long', 'bad-request', create(document([]), { headers: KEYED('k'.repeat(256)) })],
  [
    'one that is not ASCII',
    'bad-request',
    ask('DELETE', `/v1/formations/${ID}`, { headers: KEYED('\u00e4') }),
  ],
  [
    'a condition that is none',
    'bad-request',
    ask('POST', `/v1/formations/${ID}/status`, {
      headers: { ...KEYED('k'), 'if-match': 'x' },
      body: RUNNING,
    }),
  ],
  ['no token', 'unauthorized', get('/v1/formations', ANONYMOUS)],
  ['another token', 'unauthorized', get('/v1/formations', { authorization: 'Bearer other' })],
  ['no token, before the path', 'unauthorized', get('/nope', ANONYMOUS)],
  ['no token, before the body', 'unauthorized', create(HUGE, { headers: ANONYMOUS })],
  ['no token for the feed', 'unauthorized', feed('', ANONYMOUS)],
  ['the token as a protocol elsewhere', 'unauthorized', get('/v1/cells', { ...HANDSHAKE, ...BROWSER })],
  ['the token as a protocol without an upgrade', 'unauthorized', get('/ws/events', BROWSER)],
  ['an unknown path', 'not-found', get('/nope')],
  ['a trailing slash', 'not-found', get('/v1/formations/')],
  ['an upgrade elsewhere', 'not-found', get('/ws', HANDSHAKE)],
  ['a path that is not UTF-8', 'bad-request', get('/v1/cells/%ff')],
  ['a path that is not UTF-8, before its method', 'bad-request', ask('PUT', '/v1/cells/%ff')],
  ['PUT', 'method-not-allowed', ask('PUT', '/v1/formations')],
  ['POST of cells, before the body', 'method-not-allowed', ask('POST', '/v1/cells', { body: HUGE })],
  ['POST of the feed', 'method-not-allowed', ask('POST', '/ws/events', { headers: HANDSHAKE })],
  ['an unknown state of cells', 'bad-request', get('/v1/cells?state=bogus')],
  ['an unknown state before a bad limit', 'bad-request', get('/v1/cells?limit=x&state=bogus')],
  ['a negative limit of cells', 'bad-request', get('/v1/cells?formation=web&limit=-1')],
  ['an unknown parameter', 'bad-request', get('/v1/cells?State=running')],
  ['a parameter given twice', 'bad-request', get('/v1/cells?limit=1&limit=1')],
  ['a limit of formations that is none', 'bad-request', get('/v1/formations?limit=x')],
  ['what is no token of formations', 'bad-request', get('/v1/formations?continue=x')],
  ['what is no token of cells', 'bad-request', get('/v1/cells?limit=1&continue=x')],
  ['a query that is not UTF-8', 'bad-request', get('/v1/cells?state=%ff')],
  ['a since that is no number', 'bad-request', get('/v1/events?since=abc')],
  ['a limit beyond 64 bits', 'bad-request', get('/v1/events?limit=18446744073709551616')],
  ['a subject that is no filter', 'bad-request', get('/v1/events?subject=a..b')],
  ['no body', 'bad-request', ask('POST', '/v1/formations')],
  ['a body that is not JSON', 'bad-request', create('{')],
  ['a byte order mark', 'bad-request', create(`\u{feff}${document([])}`)],
  ['a body that is not UTF-8', 'bad-request', create(NOT_UTF8)],
  ['a body beyond 64 KiB', 'payload-too-large', create(HUGE)],
  ['a body beyond 64 KiB without a length', 'payload-too-large', create(HUGE, { streamed: true })],
  ['half a surrogate pair', 'bad-request', create(document([], { note: '\u{d800}' }))],
  ['a deep document', 'bad-request', create(`{"a":${'['.repeat(121)}${']'.repeat(121)}}`)],
  ['a name that is not valid', 'bad-request', create(document([], { name: '-' }))],
  ['no coordinator', 'formation/no-coordinator', create(document([], { coordinator: 'other' }))],
  ['an id twice', 'formation/duplicate-member-id', create(document([LEAD]))],
  ['no source of authority', 'formation/authority-not-narrowing', create(document([{ id: 'a' }]))],
  ['a cycle', 'formation/cycle', create(document(CYCLE))],
  ['a cycle, before a name that is held', 'formation/cycle', create(document(CYCLE, { name: 'web' }))],
  ['more authority than the parent has', 'formation/authority-not-narrowing', create(document(GREEDY))],
  ['DELETE of what is no UUID', 'bad-request', ask('DELETE', '/v1/formations/web')],
  ['a status of what is no UUID', 'bad-request', status(HUGE, null, 'web')],
  ['a status without a type', 'unsupported-media-type', status('{"state":"RUNNING"}', null)],
  ['a status as text, before its size', 'unsupported-media-type', status(HUGE, 'text/plain')],
  ['a status beyond 64 KiB', 'payload-too-large', status(HUGE)],
  ['a status that is not UTF-8', 'bad-request', status(NOT_UTF8)],
  ['a status that is not JSON', 'bad-request', status('{} x')],
  ['a status with half a surrogate pair', 'bad-request', status('{"state":"\\ud800"}')],
  ['a status that is an array', 'bad-request', status('[]'), 422],
  ['a status without a state', 'bad-request', status('{"state":null}'), 422],
  ['a wrong shape, before an unknown id', 'bad-request', status('{"state":1}', undefined, OTHER_ID), 422],
  ['the feed without an upgrade', 'bad-request', get('/ws/events')],
  ['the feed by another protocol', 'bad-request', feed('', { upgrade: 'h2c' })],
  ['HEAD of the feed', 'bad-request', ask('HEAD', '/ws/events', { headers: HANDSHAKE })],
  ['a handshake without a version', 'bad-request', feed('', { 'sec-websocket-version': null })],
  ['a handshake with a short key', 'bad-request', feed('', { 'sec-websocket-key': 'short' })],
  ['a handshake with a protocol twice', 'bad-request', feed('', { 'sec-websocket-protocol': 'a, a' })],
  ['a feed since nothing', 'bad-request', feed('?since=')],
  ['a feed with two epochs', 'bad-request', feed('?epoch=a&epoch=b')],
];

/** Spaces, escapes, a spelling of a number, a key twice, a byte order mark inside: what parsing would not give back. */
const ODD = ` {"note":"a","n\\u006fte":"ä😀\u{feff}\u{fffd}\u{2028}\\u0041","cost":1.0e3,${document([]).slice(1)}\r\n`;

type Forwarded = [what: string, answer: number, asked: Asked];

/** With what the server then answers. */
const forwarded: Forwarded[] = [
  ['the version', 200, get('/v1/version')],
  ['HEAD of the version', 200, ask('HEAD', '/v1/version')],
  ['the list', 200, get('/v1/formations?unknown=%20&&', { 'if-none-match': '"a"' })],
  ['a name', 200, get('/v1/formations/web')],
  ['a name that needs decoding', 404, get('/v1/formations/by-name/%C3%A4%2F%20?x#y')],
  ['DELETE by id, with a body', 204, ask('DELETE', `/v1/formations/${ID}`, { body: HUGE })],
  ['DELETE by name', 204, ask('DELETE', '/v1/formations/by-name/web')],
  ['cells', 200, get('/v1/cells')],
  ['cells that are filtered', 200, get('/v1/cells?state=RUNNING&formation=web&limit=007')],
  ['an unknown cell', 404, get('/v1/cells/50%')],
  ['a page of cells', 200, get('/v1/cells?limit=1&continue=')],
  ['a page of formations', 200, get('/v1/formations?limit=1')],
  ['events', 200, get('/v1/events?since=0&limit=18446744073709551615&subject=%3E')],
  ['a document with bytes of its own', 201, create(ODD)],
  ['a document without a length', 201, create(ODD, { streamed: true })],
  ['a document of exactly 64 KiB', 201, create(document([]).padEnd(MAX_BODY_BYTES))],
  ['a document of another type', 201, create(document([]), { headers: { 'content-type': 'text/css' } })],
  ['a name that is held', 409, create(document([], { name: 'web' }))],
  ['a status', 204, status('{ "state" : "RUNNING", "reason":"ä" }\n')],
  ['a status of an odd type', 204, status('{"state":"failed"}', 'Application/X+JSON;a=b')],
  ['an unknown state', 400, status('{"state":"BOGUS"}')],
  ['an unknown state of an unknown id', 404, status('{"state":"BOGUS"}', undefined, OTHER_ID)],
  ['the feed', 200, feed('?since=1&subject=a..b')],
  ['the feed in capitals', 200, feed('', { upgrade: 'WebSocket' })],
  ['the feed of a browser', 200, feed('', BROWSER)],
  ['an upgrade on another path', 200, get('/v1/version', HANDSHAKE)],
];

describe('what the request alone decides', () => {
  test.each(refused)('GATE-1 GATE-3 %s is %s', async (_what, code, asked, wanted) => {
    const { gate, reached } = gateBefore();
    const answer = await gate.fetch(requestOf(asked));
    expect(reached).toEqual([]);
    expect(answer.status).toBe(wanted ?? PROBLEMS[code].status);
    expect(answer.headers.get('content-type')).toBe('application/problem+json');
    if (asked.method === 'HEAD') return;
    expect(((await answer.json()) as { type: string }).type).toBe(`/problems/${code}`);
  });

  test.each(refused)('GATE-2 %s (%s) is told as the server tells it', async (_what, _code, asked) => {
    const server = await createServer();
    const { gate } = gateBefore();
    const [ours, theirs] = [await gate.fetch(requestOf(asked)), await server(requestOf(asked))];
    expect(await contentOf(ours)).toEqual(await contentOf(theirs));
  });

  test('GATE-1 GATE-2 OPTIONS is answered on any path, without a token', async () => {
    const server = await createServer();
    const { gate, reached } = gateBefore();
    for (const path of ['/v1/formations', '/ws/events', '/nope', '/%ff']) {
      const asked = ask('OPTIONS', path, { headers: ANONYMOUS });
      const ours = await contentOf(await gate.fetch(requestOf(asked)));
      expect(ours.status).toBe(200);
      expect(ours).toEqual(await contentOf(await server(requestOf(asked))));
    }
    expect(reached).toEqual([]);
  });

  test('API-3 GATE-2 what describes the API is about no server, and wakes none', async () => {
    const { gate, reached } = gateBefore();
    const answered = await gate.fetch(requestOf(get('/v1/openapi.json')));
    expect([answered.status, answered.headers.get('etag')]).toEqual([200, openApiDocument().etag]);
    expect(reached).toEqual([]);
  });
});

describe('the rest is forwarded', () => {
  test.each(forwarded)('GATE-4 %s, as it came', async (_what, _answer, asked) => {
    const { gate, reached } = gateBefore();
    const [request, same] = [requestOf(asked), requestOf(asked)];
    await gate.fetch(request);
    expect(reached).toHaveLength(1);
    const [passed] = reached as [Request];
    expect([passed.method, passed.url]).toEqual([same.method, same.url]);
    expect([...passed.headers]).toEqual([...same.headers]);
    expect(passed.bodyUsed).toBe(false);
    expect(new Uint8Array(await passed.arrayBuffer())).toEqual(new Uint8Array(await same.arrayBuffer()));
    // What needed no reading is not touched at all, which an upgrade would not survive.
    if (asked.method !== 'POST') expect(passed).toBe(request);
  });

  test.each(forwarded)('GATE-3 GATE-4 %s is then %i, as without a gate', async (_what, answer, asked) => {
    const [behind, alone] = [await createServer(), await createServer()];
    const { gate } = gateBefore(behind);
    const ours = await contentOf(await gate.fetch(requestOf(asked)));
    expect(ours.status).toBe(answer);
    expect(ours).toEqual(await contentOf(await alone(requestOf(asked))));
  });

  test("GATE-5 the answer is the server's", async () => {
    const theirs = new Response('late', { status: 503, headers: { 'retry-after': '1' } });
    const { gate } = gateBefore(() => theirs);
    expect(await gate.fetch(requestOf(get('/v1/cells')))).toBe(theirs);
    const head = await gate.fetch(requestOf(ask('HEAD', '/v1/cells')));
    expect([head.status, head.headers.get('retry-after'), await head.text()]).toEqual([503, '1', '']);
  });
});

describe('a server that does not serve', () => {
  const gone = () => Promise.reject(new Error('object 4711 was reset'));

  test('GATE-4 a server that starts says so itself', async () => {
    const { gate } = gateBefore(await createServer({ started: false }));
    const answer = await gate.fetch(requestOf(get('/v1/version')));
    expect([answer.status, await answer.text()]).toEqual([503, expect.stringContaining('is starting')]);
    expect((await gate.fetch(requestOf(get('/v1/cells?state=bogus')))).status).toBe(400);
  });

  test.each<[string, Asked]>([
    ['a read', get('/v1/cells')],
    ['a write', create(document([]))],
    ['the feed', feed('')],
  ])('GATE-6 %s is 503, and the error is for the log', async (_what, asked) => {
    const { gate, warnings } = gateBefore(gone);
    const answer = await gate.fetch(requestOf(asked));
    expect([answer.status, answer.headers.get('retry-after')]).toEqual([503, '1']);
    expect(answer.headers.get('access-control-allow-origin')).toBe('*');
    expect(await answer.json()).toEqual({
      type: '/problems/service-unavailable',
      title: 'Event store unavailable',
      status: 503,
      detail: 'the server cannot be reached just now',
    });
    expect(warnings).toHaveLength(1);
    expect(JSON.stringify(warnings)).toContain('object 4711 was reset');
  });
});
