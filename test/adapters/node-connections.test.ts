// What node:http leaves to us on Node: connections that it has let go of, and upgrades that nobody asked for.
import { once } from 'node:events';
import { createConnection } from 'node:net';
import type { Socket } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { nodeTarget, useRig } from '../support/server-process.ts';
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
