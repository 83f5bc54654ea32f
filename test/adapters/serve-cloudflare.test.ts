// `npm run serve:cloudflare` as a program: the whole way from the environment to a frame of the feed.
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { flatDocument, unique } from '../support/events.ts';
import { Broker, findFreePort } from '../support/nats-server.ts';
import { ServerProcess, isListening } from '../support/server-process.ts';
import { until } from '../support/wait.ts';

const SCRIPT = fileURLToPath(new URL('../../adapters/local/cloudflare.mjs', import.meta.url));
/** Everything that shells, command lines and .env files treat as something else than itself. */
const AWKWARD = `it's "a" $HOME \${PATH} #1 \\n \`b\` = %41 & \\`;
const TOKEN = `hidden ${AWKWARD}`;

const WORKABLE = { CELLOS_SERVER_API_TOKEN: 'token', CELLOS_NATS_URL: 'ws://127.0.0.1:1' };

let broker: Broker;
let folder: string;
let port: number;
let server: ServerProcess;

function start(environment: NodeJS.ProcessEnv): ChildProcess {
  return spawn(process.execPath, [SCRIPT], {
    env: {
      PATH: process.env['PATH'],
      HOME: process.env['HOME'],
      CELLOS_LOCAL_DIRECTORY: folder,
      ...environment,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
}

beforeAll(async () => {
  broker = await Broker.start();
  folder = await mkdtemp(join(tmpdir(), 'cellos-serve-'));
  port = await findFreePort();
  const child = start({
    CELLOS_SERVER_BIND: `127.0.0.1:${port}`,
    CELLOS_SERVER_API_TOKEN: TOKEN,
    CELLOS_SERVER_OPERATOR_ID: `Zoë ${AWKWARD}`,
    CELLOS_NATS_URL: broker.websocketUrl,
    NOT_FOR_THE_WORKER: 'hidden',
  });
  server = new ServerProcess(child, port, TOKEN, { closeTimeoutMs: 50 });
  await server.whenReady(25_000);
});
afterAll(async () => {
  await server.stop();
  await broker.stop();
  await rm(folder, { recursive: true, force: true });
});

test('CF-3 it serves what the environment says, whatever characters are in it', async () => {
  const feed = await server.feed({ query: 'since=0' });
  const name = unique();
  const created = await server.http.post('/v1/formations', flatDocument(name));
  expect(created.status, created.text).toBe(201);
  const record = await server.http.read<{ name: string }>(`/v1/formations/${name}`);
  expect(record.name).toBe(name);
  await feed.whenFrames(1);
  const { source } = JSON.parse(feed.events[0] as string) as { source: string };
  expect(decodeURIComponent(source)).toBe(`principal://operator/Zoë ${AWKWARD}`);
  await feed.close();
});

test('CF-3 it says where it is and logs as the server does, without a secret', async () => {
  const lines = server.stderr.split('\n').filter((line) => line !== '');
  expect(lines[0]).toContain(`http://127.0.0.1:${port}`);
  for (const line of lines.slice(1)) expect(JSON.parse(line)).toHaveProperty('level');
  expect(server.log).toContain('$HOME');
  expect(server.log).not.toContain('hidden');
});

test('CF-3 its data is kept in the folder of the local data', async () => {
  expect(await readdir(folder)).toEqual(['cloudflare', 'cloudflare.lock']);
});

test('CF-5 a second one on the same data says so and ends; the first goes on', async () => {
  const environment = { CELLOS_SERVER_API_TOKEN: 'another', CELLOS_NATS_URL: broker.websocketUrl };
  const second = new ServerProcess(
    start({ ...environment, CELLOS_SERVER_BIND: `127.0.0.1:${await findFreePort()}` }),
    0,
    'another',
  );
  expect(await second.whenExited()).toBe(1);
  expect(second.stderr).toContain(join(folder, 'cloudflare'));
  expect((await server.http.get('/v1/version')).status).toBe(200);
});

test('CF-3 SIGTERM ends all of it, with exit code 0', async () => {
  server.child.kill('SIGTERM');
  expect(await server.whenExited()).toBe(0);
  expect(await isListening(port)).toBe(false);
});

test('CF-3 an address that is none ends the start with a message that names the variable', async () => {
  const other = new ServerProcess(start({ ...WORKABLE, CELLOS_SERVER_BIND: '127.0.0.1' }), 0, AWKWARD);
  expect(await other.whenExited()).toBe(1);
  expect(other.stderr).toContain('CELLOS_SERVER_BIND');
});

test.each([
  ['CELLOS_SERVER_API_TOKEN', { CELLOS_NATS_URL: 'ws://127.0.0.1:1' }],
  ['CELLOS_NATS_URL', { CELLOS_SERVER_API_TOKEN: 'token' }],
  ['CELLOS_NATS_URL', { CELLOS_SERVER_API_TOKEN: 'token', CELLOS_NATS_URL: 'nats://127.0.0.1:1' }],
])('CF-5 what cannot work ends the start with a message that names %s', async (variable, environment) => {
  const other = new ServerProcess(start(environment), 0, 'token');
  expect(await other.whenExited()).toBe(1);
  expect(other.stderr).toContain(variable);
});

test('CF-3 a port that is taken ends it with another exit code and says so', async () => {
  const other = new ServerProcess(
    start({ ...WORKABLE, CELLOS_SERVER_BIND: `127.0.0.1:${broker.port}` }),
    0,
    AWKWARD,
  );
  expect(await other.whenExited(15_000)).toBeGreaterThan(0);
  await until(() => /in use|EADDRINUSE/i.test(other.log), { what: `the reason in: ${other.log}` });
});
