// No secret of the configuration is in what leaves the server: log lines, answers, metrics, events, checkpoints.
import { mkdtemp, readFile, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { denoTarget, denoTargetWith } from '../support/deno-server.ts';
import { cellStarted, flatDocument, unique } from '../support/events.ts';
import { refusedUpgrade } from '../support/feed-client.ts';
import { HttpClient } from '../support/http-client.ts';
import type { Reply, RequestOptions } from '../support/http-client.ts';
import { Broker } from '../support/nats-server.ts';
import { ServerProcess, nodeTarget, reportOnFailure } from '../support/server-process.ts';
import type { Environment, Target } from '../support/server-process.ts';
import { bareEnvelope } from '../support/signing.ts';
import { until } from '../support/wait.ts';
import { workerdTarget } from '../support/workerd-server.ts';

/** Each has a piece that no encoding changes, and characters that encodings do. */
const SINGLE = 'xSecretSinglex+/="\\%41~';
const ALICE = 'xSecretAlicex<&>?';
const ZOE = 'xSecretZoex-pässwörd-日本語';
const READER = 'xSecretReaderx ü';
const BROKER_PASSWORD = 'xSecretBrokerx';
const SIGNING_KEY = 'xSecretSigningx';
const SEED = 'xSecretSeedx, which is 32 bytes.';
const SHARED_SECRET = 'xSecretSharedx of a supervisor';
const SECRETS = [SINGLE, ALICE, ZOE, READER, BROKER_PASSWORD, SIGNING_KEY, SEED, SHARED_SECRET];
/** The same in the forms in which they travel. */
const FORMS = SECRETS.flatMap((secret) => {
  const bytes = Buffer.from(secret);
  const whole = bytes.length - (bytes.length % 3);
  return [
    (/xSecret\w+x/.exec(secret) as RegExpExecArray)[0],
    // What is behind depends on the last bytes.
    bytes.subarray(0, whole).toString('base64'),
    bytes.subarray(0, whole).toString('base64url'),
    bytes.toString('hex'),
  ];
});

const bearer = (token: string) => `Bearer ${Buffer.from(token).toString('latin1')}`;
const protocolsOf = (token: string) => [
  'cellos.v1',
  `cellos.bearer.${Buffer.from(token).toString('base64url')}`,
];

function expectNoSecret(what: string, text: string): void {
  for (const form of FORMS) {
    const at = text.indexOf(form);
    // The piece around it tells where it came from.
    expect(at < 0 ? null : `${what}: ${text.slice(Math.max(0, at - 200), at + 100)}`).toBeNull();
  }
}

/** Remembers everything that it was answered. */
class Listening extends HttpClient {
  answers = '';

  override async send(method: string, path: string, options?: RequestOptions): Promise<Reply> {
    const reply = await super.send(method, path, options);
    this.answers += `${method} ${reply.status} ${JSON.stringify(reply.headers)} ${reply.text}\n`;
    return reply;
  }
}

let broker: Broker;
let folder: string;
beforeEach(async () => {
  const users = `{user: u, password: "${BROKER_PASSWORD}"}, {user: guest, password: guest}`;
  broker = await Broker.start({ extraConfig: `authorization { users: [${users}] }\nno_auth_user: guest` });
  folder = await mkdtemp(join(tmpdir(), 'cellos-secrets-'));
});
afterEach(async () => {
  await broker.stop();
  await rm(folder, { recursive: true, force: true });
});

/** Everything in the folder as text, unpacked where it is packed. */
async function filesIn(directory: string): Promise<string> {
  const files = await readdir(directory, { recursive: true, withFileTypes: true });
  const texts = await Promise.all(
    files
      .filter((file) => file.isFile())
      .map(async (file) => {
        const bytes = await readFile(join(file.parentPath, file.name));
        return `${file.name} ${(bytes[0] === 0x1f && bytes[1] === 0x8b ? gunzipSync(bytes) : bytes).toString('utf8')}`;
      }),
  );
  return texts.join('\n');
}

/** Where each keeps its checkpoint, and the runtime that may. */
function keepingIn(target: Target, directory: string): { target: Target; environment: Environment } {
  if (target === workerdTarget)
    return { target, environment: { CELLOS_TEST_STORAGE: directory, CELLOS_SERVER_IDLE_SECONDS: '1' } };
  const environment = { CELLOS_SERVER_CHECKPOINT: `file:${directory}` };
  const permissions = [`--allow-read=${directory}`, `--allow-write=${directory}`];
  return { target: target === denoTarget ? denoTargetWith(...permissions) : target, environment };
}

/** Good and bad requests with every token, in every place that one may be in. */
async function askEverything(http: HttpClient): Promise<string> {
  const created = await http.post('/v1/formations', flatDocument(unique()), {
    authorization: bearer(SINGLE),
  });
  expect(created.status, created.text).toBe(201);
  const { id, name } = JSON.parse(created.text) as { id: string; name: string };
  for (const token of [SINGLE, ALICE, ZOE, READER]) {
    const authorization = bearer(token);
    const paths = ['/v1/formations', `/v1/formations/${id}`, '/v1/cells', '/v1/events', '/v1/version'];
    for (const path of [
      ...paths,
      '/livez',
      '/readyz',
      '/metrics',
      '/nope',
      '/v1/cells/%ff',
      '/v1/events?since=x',
      '/ws/events',
    ])
      await http.get(path, { authorization });
    await http.post('/v1/formations', flatDocument(unique()), { authorization });
    await http.post('/v1/formations', '{', { authorization });
    await http.post('/v1/formations', 'x'.repeat(70_000), { authorization });
    await http.post(`/v1/formations/${id}/status`, { state: 'RUNNING', reason: 'why' }, { authorization });
    await http.post(`/v1/formations/${id}/status`, { state: 'NONE' }, { authorization });
    await http.send('DELETE', '/v1/formations/by-name/unknown', { authorization });
    await http.get('/v1/version', { authorization, headers: { origin: 'https://evil.example' } });
    await http.send('OPTIONS', '/v1/version', { authorization });
    for (const wrong of [
      `${authorization}x`,
      authorization.slice(0, -1),
      authorization.toLowerCase(),
      `Basic ${token.slice(0, 15)}`,
    ])
      await http.get('/v1/version', { authorization: wrong });
    for (const protocols of [
      protocolsOf(`${token}x`),
      protocolsOf(token).slice(1),
      [...protocolsOf('x'), ...protocolsOf(token)],
    ])
      await refusedUpgrade(http, { authorization: null, protocols: [...new Set(protocols)] }).then((reply) =>
        expectNoSecret('a refused upgrade', JSON.stringify(reply)),
      );
  }
  return name;
}

describe.each([nodeTarget, denoTarget, workerdTarget])('on $name', (target) => {
  test('CFG-9 good and bad requests, a broker that goes and comes, a checkpoint', async () => {
    const place = keepingIn(target, folder);
    const server = await ServerProcess.start(place.target, {
      CELLOS_NATS_URL: broker.websocketUrl.replace('//', `//u:${BROKER_PASSWORD}@`),
      CELLOS_SERVER_API_TOKEN: SINGLE,
      CELLOS_SERVER_API_TOKENS: JSON.stringify({ alice: ALICE, zoe: ZOE }),
      CELLOS_SERVER_READ_TOKENS: JSON.stringify({ dashboard: READER }),
      CELLOS_SERVER_ALLOWED_ORIGINS: 'https://ui.example',
      CELLOS_EVENT_SIGNING_KEY: `server:${Buffer.from(SEED).toString('base64url')}`,
      CELLOS_EVENT_VERIFY_KEYS: JSON.stringify({
        supervisor: `hmac-sha256:${Buffer.from(SHARED_SECRET).toString('base64url')}`,
      }),
      LOG_LEVEL: 'debug',
      ...place.environment,
    });
    reportOnFailure(server);
    const http = new Listening('127.0.0.1', server.port, SINGLE);
    const frames: string[] = [];
    const feeds = await Promise.all(
      [SINGLE, ALICE, ZOE, READER].map((token) =>
        server.feed({
          query: 'since=0',
          authorization: null,
          protocols: protocolsOf(token),
          onText: (text) => frames.push(text),
        }),
      ),
    );
    const name = await askEverything(http);
    await http.get(`/v1/nope?token=${encodeURIComponent(ALICE)}`);
    await broker.publishAll(['no json', { type: 'io.cellos.formation.v1.created' }, cellStarted(unique())]);
    await broker.publish(bareEnvelope('{"type":"x"}', { kid: 'supervisor', signature: 'AAAA' }));
    await broker.kill();
    await until(async () => (await http.post('/v1/formations', flatDocument(unique()))).status === 503, {
      what: 'a refused write',
    });
    await broker.restart();
    await until(async () => (await http.post('/v1/formations', flatDocument(unique()))).status === 201, {
      what: 'an accepted write',
    });
    // More than is granted.
    const headers = target.addressHeader === undefined ? {} : { [target.addressHeader]: '192.0.2.1' };
    await until(
      async () =>
        (await http.get('/v1/version', { headers, authorization: bearer(`${ALICE}x`) })).status === 429,
      {
        what: 'too many wrong tokens',
      },
    );
    await http.get('/metrics');
    await http.get('/metrics', { headers: { accept: 'text/plain' } });
    const events = (await broker.messages()).map(({ subject, text }) => `${subject} ${text}`).join('\n');
    for (const feed of feeds) await feed.close();
    // A process saves its view at its end, an object when nobody needs it.
    if (target !== workerdTarget) await server.stop();
    await until(async () => (await filesIn(folder)).includes(name), { what: 'the checkpoint' });
    await server.stop();
    const kept = await filesIn(folder);

    // They are what they are taken for.
    expect(server.log).toContain('"operator":"alice"');
    expect(server.log).toContain('"operator":"dashboard"');
    expect(http.answers).toContain('cellos_cursor');
    expect(server.log).toContain('supervisor');
    expect(events).toContain('"signerKid":"server"');
    expect(events).toContain('principal://operator/zoe');
    expect(frames.length).toBeGreaterThan(0);
    expect(http.answers).toMatch(/ 401 .* 403 .* 413 .* 503 .* 429 /s);
    expectNoSecret('the log', server.log);
    expectNoSecret('an answer', http.answers);
    expectNoSecret('an event', events);
    expectNoSecret('a frame', frames.join('\n'));
    expectNoSecret('the checkpoint', kept);
  });
});

// What happens on Cloudflare instead: cloudflare-configuration.test.ts.
describe.each([nodeTarget, denoTarget])('on $name', (target) => {
  test.each<[string, string]>([
    ['CELLOS_SERVER_API_TOKENS', `{"alice":"${ALICE}"`],
    ['CELLOS_SERVER_API_TOKENS', ALICE],
    ['CELLOS_SERVER_API_TOKENS', `{"alice":["${ALICE}"]}`],
    ['CELLOS_SERVER_API_TOKENS', `{"alice":"${ALICE}","bob":"${ALICE}"}`],
    ['CELLOS_SERVER_API_TOKENS', `{"alice":"${ALICE}\\n"${ALICE}"}`],
    ['CELLOS_SERVER_READ_TOKENS', JSON.stringify({ reader: SINGLE })],
    ['CELLOS_SERVER_READ_TOKENS', `[["reader","${READER}"]]`],
    ['CELLOS_SERVER_READ_TOKENS_FILE', `/${READER}`],
    ['CELLOS_SERVER_API_TOKENS_FILE', JSON.stringify({ alice: ALICE })],
    ['CELLOS_NATS_URL', `http://u:${BROKER_PASSWORD}@127.0.0.1:1`],
    ['CELLOS_NATS_URL', `ws://u:${BROKER_PASSWORD}@127.0.0.1:x`],
    ['CELLOS_NATS_CREDS', BROKER_PASSWORD],
    ['CELLOS_EVENT_SIGNING_KEY', SIGNING_KEY],
    ['CELLOS_EVENT_SIGNING_KEY', `kid:${SIGNING_KEY}`],
    ['CELLOS_EVENT_VERIFY_KEYS', JSON.stringify({ kid: SIGNING_KEY })],
    ['CELLOS_EVENT_VERIFY_KEYS', JSON.stringify({ kid: `hmac-sha256:${SIGNING_KEY}!` })],
    ['CELLOS_EVENT_VERIFY_KEYS', SIGNING_KEY],
  ])('CFG-9 a start that fails: %s=%s', async (name, value) => {
    const server = await ServerProcess.spawn(target, {
      CELLOS_SERVER_API_TOKEN: SINGLE,
      CELLOS_NATS_URL: `ws://u:${BROKER_PASSWORD}@127.0.0.1:1`,
      [name]: value,
    });
    expect(await server.whenExited()).toBe(1);
    expect(server.log).toContain(name);
    expectNoSecret('the log', server.log);
  });
});
