// Clients that stop reading or answering, beside one that does not. For runtimes that can tell.
import type { Socket } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openRaw } from '../support/feed-client.ts';
import { Broker } from '../support/nats-server.ts';
import { Rig, ServerProcess } from '../support/server-process.ts';
import type { Target } from '../support/server-process.ts';
import { timed, until } from '../support/wait.ts';

/** The contract's 50 s, and a little for looking after it now and then. */
const LIMIT_MS = 60_000;
const TAKES_NOTHING_MS = 50_000;
const HESITATION_MS = 15_000;
const EVENTS = 400;
const EVENT_BYTES = 100_000;

interface RawFrame {
  readonly opcode: number;
  readonly payload: Buffer;
}

/** What a server sent, whole frames only; servers do not mask. */
function parseFrames(bytes: Buffer): RawFrame[] {
  const frames: RawFrame[] = [];
  for (let at = 0; at + 2 <= bytes.length;) {
    const opcode = bytes.readUInt8(at) & 0x0f;
    const short = bytes.readUInt8(at + 1);
    const head = short < 126 ? 2 : short === 126 ? 4 : 10;
    if (at + head > bytes.length) break;
    const length =
      short < 126
        ? short
        : short === 126
          ? bytes.readUInt16BE(at + 2)
          : Number(bytes.readBigUInt64BE(at + 2));
    if (at + head + length > bytes.length) break;
    frames.push({ opcode, payload: bytes.subarray(at + head, at + head + length) });
    at += head + length;
  }
  return frames;
}

function sequencesOf(frames: readonly RawFrame[]): number[] {
  return frames
    .filter((frame) => frame.opcode === 1)
    .map((frame) => Number(/^\{"seq":(\d+)/.exec(frame.payload.subarray(0, 40).toString('latin1'))?.[1]));
}

/** What a socket without a WebSocket library was sent. */
class RawClient {
  readonly socket: Socket;
  readonly openedAt = performance.now();
  #chunks: Buffer[] = [];

  constructor(socket: Socket) {
    this.socket = socket;
    socket.pause();
    socket.on('data', (chunk: Buffer) => this.#chunks.push(chunk));
    socket.pause();
  }

  read(): void {
    this.socket.resume();
  }

  get frames(): RawFrame[] {
    return parseFrames(Buffer.concat(this.#chunks));
  }

  get close(): { code: number; reason: string } | undefined {
    const payload = this.frames.find((frame) => frame.opcode === 8)?.payload;
    return payload && { code: payload.readUInt16BE(0), reason: payload.subarray(2).toString('utf8') };
  }

  /** Until there is a close frame or the connection has ended. */
  async whenOver(timeoutMs: number): Promise<void> {
    await until(() => this.socket.closed || this.close !== undefined, {
      what: 'a close frame or the end of the connection',
      timeoutMs,
      pollMs: 100,
    });
  }
}

/** How a session ends whose client answers nothing. */
export interface DeafClosing {
  readonly code: number;
  readonly reason: RegExp;
}

export function slowConsumerSuite(target: Target, deafClosing: DeafClosing): void {
  describe(`slow clients on ${target.name}`, () => {
    let broker: Broker;
    let server: ServerProcess;
    let rig: Rig;
    /** Reads, but answers no ping; opened first, so that its 50 s pass beside the other tests. */
    let deaf: RawClient;
    /** Reads nothing of what the first test publishes, until the last one looks at it. */
    let slow: RawClient;
    /** The same, but only for a while. */
    let hesitant: RawClient;
    let first: number;
    beforeAll(async () => {
      broker = await Broker.start();
      server = await ServerProcess.start(target, { CELLOS_NATS_URL: broker.websocketUrl });
      rig = new Rig(broker, server);
      deaf = new RawClient(await openRaw(server.http, { query: 'subject=cellos.events.none' }));
      deaf.read();
      slow = new RawClient(await openRaw(server.http));
      hesitant = new RawClient(await openRaw(server.http));
    });
    afterAll(async () => {
      await server.stop();
      await broker.stop();
    });

    test('FEED-11 FEED-18 while one client reads nothing, 40 MB reach another', async () => {
      const quick = await server.feed();
      first = (await broker.lastSequence()) + 1;
      const payload = JSON.stringify({ type: 'dev.cellos.test.bulk', data: 'x'.repeat(EVENT_BYTES) });
      const { value: last, ms } = await timed(
        broker.publishAll(Array.from({ length: EVENTS }, () => payload)),
      );
      const arrived = await timed(quick.whenSequence(last, 15_000));
      console.log(
        `40 MB were published in ${Math.round(ms)} ms and there ${Math.round(arrived.ms)} ms later`,
      );
      expect(quick.sequences).toEqual(Array.from({ length: EVENTS }, (_, index) => first + index));
      const { ms: readMs } = await timed(server.http.read('/v1/formations'));
      expect(readMs).toBeLessThan(1000);
      await quick.close();
    });

    test('FEED-9 a close frame and a ping are answered before the backlog', async () => {
      const client = new RawClient(await openRaw(server.http, { query: 'since=0' }));
      // A ping "hi", then close 1000; masked with zeros.
      client.socket.write(
        Buffer.from([0x89, 0x82, 0, 0, 0, 0, 0x68, 0x69, 0x88, 0x82, 0, 0, 0, 0, 0x03, 0xe8]),
      );
      client.read();
      await client.whenOver(10_000);
      const { frames } = client;
      expect(frames.find((frame) => frame.opcode === 10)?.payload.toString()).toBe('hi');
      expect(client.close?.code).toBe(1000);
      expect(sequencesOf(frames).length).toBeLessThan(EVENTS / 2);
    });

    test('FEED-11 a client that reads nothing for a while gets everything, or is told where it was closed', async () => {
      await until(() => performance.now() - hesitant.openedAt > HESITATION_MS, {
        what: 'its time to be over',
        timeoutMs: HESITATION_MS,
        pollMs: 100,
      });
      hesitant.read();
      await until(() => hesitant.close !== undefined || sequencesOf(hesitant.frames).length === EVENTS, {
        what: 'all events or a close frame',
        timeoutMs: 10_000,
        pollMs: 200,
      });
      const received = sequencesOf(hesitant.frames);
      expect(received).toEqual(received.map((_, index) => first + index));
      console.log(
        `after ${HESITATION_MS} ms: ${received.length} events, then ${JSON.stringify(hesitant.close)}`,
      );
      if (received.length < EVENTS)
        expect(hesitant.close).toEqual({ code: 4408, reason: `slow-consumer ${received.at(-1)}` });
      hesitant.socket.destroy();
    });

    test(
      'FEED-11 a client that answers nothing for 50 s is closed',
      { timeout: LIMIT_MS + 10_000 },
      async () => {
        await deaf.whenOver(LIMIT_MS);
        const ms = performance.now() - deaf.openedAt;
        console.log(`the client that answers nothing was closed after ${Math.round(ms)} ms`);
        expect(ms).toBeGreaterThan(TAKES_NOTHING_MS - 5000);
        expect(ms).toBeLessThan(LIMIT_MS);
        if (deaf.close)
          expect(deaf.close).toEqual({ ...deafClosing, reason: expect.stringMatching(deafClosing.reason) });
        expect(deaf.frames.filter((frame) => frame.opcode === 1)).toEqual([]);
      },
    );

    test(
      'FEED-11 the client that read nothing was closed, without a gap before it',
      { timeout: LIMIT_MS + 10_000 },
      async () => {
        await until(() => performance.now() - slow.openedAt > LIMIT_MS, {
          what: 'its time to be over',
          timeoutMs: LIMIT_MS,
          pollMs: 100,
        });
        slow.read();
        await slow.whenOver(5000);
        const received = sequencesOf(slow.frames);
        console.log(
          `${received.length} of ${EVENTS} events had been sent to it, then ${JSON.stringify(slow.close ?? 'the end')}`,
        );
        expect(received).toEqual(received.map((_, index) => first + index));
        expect(received.length).toBeLessThan(EVENTS);
        const lastSent = first - 1 + received.length;
        if (slow.close) expect(slow.close).toEqual({ code: 4408, reason: `slow-consumer ${lastSent}` });
        const resumed = await server.feed({ query: `since=${lastSent}` });
        const next = await rig.publish('"next"');
        await resumed.whenSequence(next, 15_000);
        expect(resumed.sequences).toEqual(
          Array.from({ length: next - lastSent }, (_, index) => lastSent + 1 + index),
        );
        await resumed.close();
      },
    );
  });
}
