// What Node puts on the wire to a broker's websocket listener. The broker here is a socket that says what clients need to hear.
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';

import { afterEach, beforeEach, expect, test } from 'vitest';
import { WebSocketServer } from 'ws';

import { connector } from '../../adapters/node/broker-connection.ts';

const INFO = `INFO ${JSON.stringify({ server_id: 'x', version: '2.10.0', proto: 1, headers: true, max_payload: 1_048_576 })}\r\n`;

let broker: WebSocketServer;
let messages: string[];

beforeEach(async () => {
  messages = [];
  broker = new WebSocketServer({ port: 0, host: '127.0.0.1' });
  broker.on('connection', (socket) => {
    socket.send(Buffer.from(INFO));
    socket.on('message', (data: Buffer) => {
      const text = data.toString();
      messages.push(text);
      for (const _ of text.matchAll(/PING\r\n/g)) socket.send(Buffer.from('PONG\r\n'));
    });
  });
  await once(broker, 'listening');
});

afterEach(() => {
  broker.close();
});

async function connect() {
  const { port } = broker.address() as AddressInfo;
  const connection = await connector({
    transport: 'websocket',
    servers: [],
    user: null,
    password: null,
    token: null,
    credentials: null,
  })({ servers: [`ws://127.0.0.1:${port}`], reconnect: false });
  messages.length = 0;
  return connection;
}

const publish = (index: number) => `PUB a 2\r\n${index}!\r\n`;

test('LOG-30 what is sent in one turn is one message, in order', async () => {
  const connection = await connect();
  for (let index = 0; index < 10; index++) {
    connection.publish('a', `${index}!`);
    // The client hands on what it has with the next microtask.
    await Promise.resolve().then(() => {});
  }
  await connection.flush();
  expect(messages[0]).toContain(publish(9));
  expect(messages.join('')).toBe(
    `${Array.from({ length: 10 }, (_, index) => publish(index)).join('')}PING\r\n`,
  );
  await connection.close();
});

test('LOG-30 what was sent before a close arrives', async () => {
  const connection = await connect();
  connection.publish('a', '0!');
  await Promise.resolve().then(() => {});
  await connection.close();
  await Promise.all([...broker.clients].map((client) => once(client, 'close')));
  expect(messages.join('')).toBe(publish(0));
});
