// How the process ends: on request, and when it cannot listen.
import { createServer, createConnection } from 'node:net';
import type { AddressInfo } from 'node:net';
import { once } from 'node:events';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openRaw } from '../support/feed-client.ts';
import { flatDocument, unique } from '../support/events.ts';
import { denoTarget } from '../support/deno-server.ts';
import { Broker, findFreePort } from '../support/nats-server.ts';
import { ServerProcess, isListening, nodeTarget, reportOnFailure } from '../support/server-process.ts';
import { timed, until } from '../support/wait.ts';

const LIMIT_MS = 5000;

let broker: Broker;
beforeAll(async () => {
  broker = await Broker.start();
});
afterAll(() => broker.stop());

describe.each([nodeTarget, denoTarget])('on $name', (target) => {
  async function start(): Promise<ServerProcess> {
    const server = await ServerProcess.start(target, { CELLOS_NATS_URL: broker.websocketUrl });
    reportOnFailure(server);
    return server;
  }

  describe.each(['SIGTERM', 'SIGINT'] as const)('%s', (signal) => {
    test('RUN-7 feeds are closed with 1001, the port is closed, the exit code is 0', async () => {
      const server = await start();
      const feeds = await Promise.all([
        server.feed(),
        server.feed({ query: 'since=0' }),
        server.feed({ query: 'subject=none' }),
      ]);
      server.child.kill(signal);
      const { value: code, ms } = await timed(server.whenExited());
      expect(code, server.log).toBe(0);
      expect(ms).toBeLessThan(LIMIT_MS);
      for (const feed of feeds) expect((await feed.whenClosed()).code).toBe(1001);
      expect(await isListening(server.port)).toBe(false);
    });
  });

  test('OPS-24 every request is in the log of a server that ends behind the last answer', async () => {
    const server = await start();
    const ids = Array.from({ length: 50 }, () => unique('request'));
    await Promise.all(ids.map((id) => server.http.get('/v1/version', { headers: { 'x-request-id': id } })));
    server.child.kill('SIGTERM');
    expect(await server.whenExited()).toBe(0);
    const logged = server.stderr
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as { message: string; id?: string });
    for (const id of ids) expect(logged.filter((line) => line.id === id)).toHaveLength(1);
    expect(logged.at(-1)?.message).toBe('stopped');
  });

  test('RUN-7 a request under way is answered, also when the signal comes twice', async () => {
    const server = await start();
    const body = JSON.stringify(flatDocument(unique()));
    const socket = createConnection({ host: '127.0.0.1', port: server.port });
    let received = '';
    socket.setEncoding('utf8').on('data', (text) => (received += String(text)));
    const head = [
      'POST /v1/formations HTTP/1.1',
      'Host: test',
      `Authorization: Bearer ${server.http.token}`,
      `Content-Length: ${body.length}`,
    ];
    socket.write(`${head.join('\r\n')}\r\n\r\n${body.slice(0, 10)}`);
    // Answered after the first request's head was read, which came before.
    await server.http.read('/v1/version');
    const before = await broker.lastSequence();
    server.child.kill('SIGTERM');
    await until(async () => !(await isListening(server.port)), { what: 'the port to be closed' });
    // As under npm, where Ctrl-C reaches the server from the terminal and from npm.
    server.child.kill('SIGTERM');
    socket.write(body.slice(10));
    await once(socket, 'close');
    expect(received).toMatch(/^HTTP\/1\.1 201 /);
    expect(await broker.lastSequence()).toBe(before + 1);
    expect(await server.whenExited()).toBe(0);
  });

  test('RUN-7 clients that stop half-way do not hold it up', async () => {
    const server = await start();
    const idle = createConnection({ host: '127.0.0.1', port: server.port });
    const half = createConnection({ host: '127.0.0.1', port: server.port });
    await Promise.all([once(idle, 'connect'), once(half, 'connect')]);
    half.write(
      `POST /v1/formations HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer ${server.http.token}\r\nContent-Length: 9\r\n\r\n{`,
    );
    const deaf = await openRaw(server.http, { query: 'since=0' });
    idle.on('error', () => {});
    half.on('error', () => {});
    server.child.kill('SIGTERM');
    const { value: code, ms } = await timed(server.whenExited());
    expect(code, server.log).toBe(0);
    expect(ms).toBeLessThan(LIMIT_MS);
    for (const socket of [idle, half, deaf]) socket.destroy();
  });

  test('RUN-7 it ends in the same way while the broker is away', async () => {
    const port = await findFreePort();
    const server = await ServerProcess.spawn(target, { CELLOS_NATS_URL: `ws://127.0.0.1:${port}` });
    reportOnFailure(server);
    await until(() => isListening(server.port), { what: 'the port to be open' });
    server.child.kill('SIGTERM');
    const { value: code, ms } = await timed(server.whenExited());
    expect(code, server.log).toBe(0);
    expect(ms).toBeLessThan(LIMIT_MS);
  });

  test('CFG-1 a busy port ends the start, with a message naming it', async () => {
    const other = createServer().listen(0, '127.0.0.1');
    await once(other, 'listening');
    const { port } = other.address() as AddressInfo;
    const server = await ServerProcess.spawn(target, {
      CELLOS_NATS_URL: broker.websocketUrl,
      CELLOS_SERVER_BIND: `127.0.0.1:${port}`,
    });
    expect(await server.whenExited()).not.toBe(0);
    expect(server.stderr).toContain(`127.0.0.1:${port}`);
    expect(server.stderr).toContain('CELLOS_SERVER_BIND');
    expect(server.log).not.toContain(server.http.token);
    other.close();
  });
});
