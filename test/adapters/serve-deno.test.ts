// `npm run serve:deno` as a program: npm, the task of deno.json, the server, with the permissions that the task grants.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { flatDocument, unique } from '../support/events.ts';
import { Broker, findFreePort } from '../support/nats-server.ts';
import { ServerProcess, TOKEN, isListening } from '../support/server-process.ts';
import type { Environment } from '../support/server-process.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

let broker: Broker;
let port: number;
let server: ServerProcess;

function start(environment: Environment): ServerProcess {
  const child = spawn('npm', ['run', '--silent', 'serve:deno'], {
    cwd: ROOT,
    env: { PATH: process.env['PATH'], HOME: process.env['HOME'], ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  return new ServerProcess(child, port, TOKEN);
}

beforeAll(async () => {
  broker = await Broker.start();
  port = await findFreePort();
  server = start({
    CELLOS_SERVER_BIND: `127.0.0.1:${port}`,
    CELLOS_SERVER_API_TOKEN: TOKEN,
    CELLOS_NATS_URL: broker.websocketUrl,
  });
  await server.whenReady(25_000);
});
afterAll(async () => {
  await server.stop();
  await broker.stop();
});

test('DENO-2 it serves what the environment says', async () => {
  const feed = await server.feed({ query: 'since=0' });
  const name = unique();
  const created = await server.http.post('/v1/formations', flatDocument(name));
  expect(created.status, created.text).toBe(201);
  await feed.whenFrames(1);
  expect((await server.http.get(`/v1/formations/${name}`)).status).toBe(200);
  await feed.close();
});

test('DENO-2 it writes log lines and nothing else, and leaves no lock file', () => {
  for (const line of server.log.split('\n').filter((text) => text !== ''))
    expect(JSON.parse(line)).toHaveProperty('level');
  expect(existsSync(join(ROOT, 'deno.lock'))).toBe(false);
});

test('DENO-2 SIGTERM ends all of it, with exit code 0', async () => {
  server.child.kill('SIGTERM');
  expect(await server.whenExited()).toBe(0);
  expect(await isListening(port)).toBe(false);
});

test('DENO-2 CFG-5 a configuration that cannot work ends it with exit code 1', async () => {
  const other = start({ CELLOS_SERVER_API_TOKEN: ' ' });
  expect(await other.whenExited()).toBe(1);
  expect(other.stderr).toContain('CELLOS_SERVER_API_TOKEN');
});
