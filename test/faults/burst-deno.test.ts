// A burst to many clients of the server on Deno, whose sockets queue each message that they are given by itself.
import { existsSync, readFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { denoTarget } from '../support/deno-server.ts';
import { openRaw } from '../support/feed-client.ts';
import { Broker, SUPERVISOR_SUBJECT } from '../support/nats-server.ts';
import { ServerProcess } from '../support/server-process.ts';
import { until } from '../support/wait.ts';

const CLIENTS = 100;
const EVENTS = 5000;
const DATA_CHARACTERS = 350;
const BURST_MS = 15_000;
const MAX_MEMORY_MIB = 250;
/** Of a message of this length (RFC 6455, section 5.2). */
const HEADER_BYTES = 4;

let broker: Broker;
let server: ServerProcess;
beforeAll(async () => {
  broker = await Broker.start();
  server = await ServerProcess.start(denoTarget, { CELLOS_NATS_URL: broker.websocketUrl });
});
afterAll(async () => {
  await server.stop();
  await broker.stop();
});

/** The most that a process ever had resident. */
function peakMemoryMib(pid: number | undefined): number {
  const match = /^VmHWM:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'));
  return Number(match?.[1]) / 1024;
}

/** A client that counts what it is sent instead of keeping it. */
class Counter {
  readonly socket: Socket;
  bytes = 0;

  constructor(socket: Socket) {
    this.socket = socket;
    socket.on('data', (chunk: Buffer) => (this.bytes += chunk.length));
    socket.resume();
  }
}

test.skipIf(!existsSync('/proc/self/status'))(
  'DENO-5 a burst to many clients is not queued for all of them at once',
  async () => {
    const clients: Counter[] = [];
    for (let count = 0; count < CLIENTS; count += 1) clients.push(new Counter(await openRaw(server.http)));
    const before = peakMemoryMib(server.child.pid);
    const connection = await broker.connection();
    const first = (await broker.lastSequence()) + 1;
    const payload = JSON.stringify({ type: 'dev.cellos.test.burst', data: 'x'.repeat(DATA_CHARACTERS) });
    // Without acknowledgements: these would pace it.
    for (let count = 0; count < EVENTS; count += 1) connection.publish(SUPERVISOR_SUBJECT, payload);
    let due = 0;
    for (let seq = first; seq < first + EVENTS; seq += 1)
      due += HEADER_BYTES + `{"seq":${seq},"event":${payload}}`.length;
    const startedAt = performance.now();
    await until(() => clients.every(({ bytes }) => bytes >= due), {
      what: 'every client to have every frame',
      timeoutMs: BURST_MS,
    });
    const rate = (CLIENTS * EVENTS) / (performance.now() - startedAt);
    const peak = peakMemoryMib(server.child.pid);
    console.log(
      `${rate.toFixed()} frames/ms, memory from ${before.toFixed()} to ${peak.toFixed()} MiB at most`,
    );
    for (const { bytes, socket } of clients) {
      expect(bytes).toBe(due);
      socket.destroy();
    }
    expect(peak).toBeLessThan(MAX_MEMORY_MIB);
  },
);
