// What node:http leaves to us on Node: connections that it has let go of, and upgrades that nobody asked for.
import { once } from 'node:events';
import { createConnection } from 'node:net';
import type { Socket } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { nodeTarget, TOKEN, useRig } from '../support/server-process.ts';
import { until } from '../support/wait.ts';

const rig = useRig(nodeTarget);
const UPGRADE = 'Connection: Upgrade\r\nUpgrade: websocket\r\n';

const sockets: Socket[] = [];
afterEach(() => {
  for (const socket of sockets.splice(0)) socket.destroy();
});

/** A connection that sends this and does not end by itself. */
async function connect(bytes: string): Promise<{ socket: Socket; received: () => string }> {
  const { host, port } = rig().http;
  const socket = createConnection({ host, port, allowHalfOpen: true });
  sockets.push(socket);
  socket.on('error', () => {});
  let received = '';
  socket.setEncoding('latin1').on('data', (text: string) => (received += text));
  socket.write(bytes);
  await once(socket, 'data');
  return { socket, received: () => received };
}

test.each([
  ['CONNECT', 'CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n'],
  ['an upgrade', `GET /ws/events HTTP/1.1\r\nHost: a\r\n${UPGRADE}\r\n`],
  ['no HTTP', 'nonsense\r\n\r\n'],
  ['no host', 'GET / HTTP/1.1\r\n\r\n'],
])('RUN-22 who resets a connection after %s was refused ends nothing else', async (_what, bytes) => {
  const { socket } = await connect(bytes);
  socket.resetAndDestroy();
  await new Promise((resolve) => setTimeout(resolve, 100));
  expect((await rig().http.get('/v1/version')).status).toBe(200);
});

test.each([
  ['CONNECT', 'CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n'],
  ['an upgrade', `GET /ws/events HTTP/1.1\r\nHost: a\r\n${UPGRADE}\r\n`],
  ['no HTTP', 'nonsense\r\n\r\n'],
  ['no host', 'GET / HTTP/1.1\r\n\r\n'],
])('RUN-22 a connection ends soon after %s was refused, whatever the client does', async (_what, bytes) => {
  const { socket, received } = await connect(bytes);
  expect(received()).toMatch(/^HTTP\/1\.1 40[01] /);
  await until(
    async () => {
      // Written to a connection that is gone for the other side, it is answered with a reset.
      socket.write('x');
      return socket.destroyed;
    },
    { what: 'the connection to be gone', timeoutMs: 5000 },
  );
});

test('FEED-17 an upgrade that is offered elsewhere changes nothing: streams are sent, bodies read', async () => {
  const head = `Host: a\r\nAuthorization: Bearer ${TOKEN}\r\n${UPGRADE}`;
  const { socket, received } = await connect(
    `GET /v1/events HTTP/1.1\r\n${head}Accept: text/event-stream\r\n\r\n`,
  );
  const seq = await rig().publish('1');
  await until(() => received().includes(`id: ${seq}\n`), { what: 'the event' });
  const sessions = async () =>
    /^cellos_feed_sessions (\d+)$/m.exec((await rig().http.get('/metrics')).text)?.[1];
  expect(await sessions()).toBe('1');
  socket.destroy();
  await until(async () => (await sessions()) === '0', { what: 'the session to end' });
  const body = '{"nothing":1}';
  const posted = await connect(
    `POST /v1/formations HTTP/1.1\r\n${head}Content-Length: ${body.length}\r\n\r\n${body}`,
  );
  expect(posted.received()).toContain('name');
});
