// A Worker that is not configured: there is no process that could refuse to start.
import { expect, test } from 'vitest';
import { refusedUpgrade } from '../support/feed-client.ts';
import { expectCors, expectProblem } from '../support/http-client.ts';
import { TOKEN } from '../support/server-process.ts';
import { Workerd } from '../support/workerd-server.ts';

const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'OPTIONS'];
const PATHS = ['/', '/v1/formations', '/v1/version', '/v1/cells/%ff', '/ws/events', '/nope'];
const BROKER = 'ws://127.0.0.1:9222';

test.each<[name: string, value: string | undefined, says: string]>([
  ['CELLOS_SERVER_API_TOKEN', undefined, 'is not set'],
  ['CELLOS_SERVER_API_TOKEN', '', 'is not set'],
  ['CELLOS_SERVER_API_TOKEN', ' \t\n', 'is not set'],
  ['CELLOS_NATS_URL', undefined, 'is not set'],
  ['CELLOS_NATS_URL', '', 'is not set'],
  ['CELLOS_NATS_URL', '  ', 'is not set'],
  ['CELLOS_NATS_URL', 'nats://user:hidden@127.0.0.1:4222', 'websocket listener'],
  ['CELLOS_NATS_URL', 'tls://user:hidden@127.0.0.1:4222', 'websocket listener'],
  ['CELLOS_NATS_URL', 'http://user:hidden@127.0.0.1:4222', 'ws:// or wss://'],
  ['CELLOS_NATS_CREDS', '/etc/nats/hidden.creds', 'credentials'],
  ['CELLOS_EVENT_REQUIRE_SIGNED', '1', 'CELLOS_EVENT_SIGNING_KEY is not set'],
  ['CELLOS_EVENT_VERIFY_KEYS', '{"supervisor":"hidden"}', 'base64url'],
  ['CELLOS_EVENT_VERIFY_KEYS_PATH', '/hidden', 'there is no file system here'],
  ['CELLOS_EVENT_SIGNING_KEY', 'server:hidden', 'an Ed25519 seed'],
  ['CELLOS_SERVER_API_TOKENS', '{"alice":"hidden"', 'JSON object'],
  ['CELLOS_SERVER_READ_TOKENS', '{"alice":"hidden","bob":"hidden"}', 'the token that'],
  ['CELLOS_SERVER_READ_TOKENS_FILE', '/hidden', 'there are none on this runtime'],
  ['CELLOS_SERVER_ALLOWED_ORIGINS', 'ui.example', 'scheme://host'],
])('CF-2 %s=%j: every request is a 500, and the log says why', async (name, value, says) => {
  const server = await Workerd.start({ vars: { CELLOS_NATS_URL: BROKER, [name]: value } });
  for (const path of PATHS)
    for (const method of METHODS) {
      const reply = await server.http.send(method, path, { authorization: `Bearer ${TOKEN}` });
      expect([method, path, reply.status]).toEqual([method, path, 500]);
      expectCors(reply);
      if (method === 'HEAD') expect(reply.text).toBe('');
      else expect(expectProblem(reply, 'internal').detail).not.toMatch(/CELLOS|hidden/);
    }
  expectProblem(await refusedUpgrade(server.http), 'internal');
  expectProblem(await refusedUpgrade(server.http, { authorization: null }), 'internal');
  const lines = server.logs.map((line) => JSON.parse(line) as { level: string; message: string });
  expect(lines.map((line) => line.level)).toContain('error');
  for (const { message } of lines) expect(message).toContain(`${name} `);
  expect(server.log).toContain(says);
  expect(server.log).not.toContain('hidden');
  await server.stop();
});

test('CF-2 what is mended works with the next request', async () => {
  const server = await Workerd.start({ vars: { CELLOS_SERVER_API_TOKEN: ' ', CELLOS_NATS_URL: BROKER } });
  expect((await server.http.get('/v1/version')).status).toBe(500);
  await server.restart({ CELLOS_SERVER_API_TOKEN: TOKEN });
  expect((await server.http.get('/v1/version', { authorization: null })).status).toBe(401);
  await server.stop();
});
