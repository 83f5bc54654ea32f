// Owns publishing at chosen moments: a NATS connection of one socket and three verbs, so that what is timed is the
// write itself and not a client library's flushing. Seeding, which wants acknowledgements, is seed.ts's.
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { EVENT_SUBJECT } from './broker.ts';
import type { Broker } from './broker.ts';
import { monotonicMs } from './usage.ts';

const FLUSH_TIMEOUT_MS = 10_000;

/** Publishes events without acknowledgements; the caller compares the stream's last sequence afterwards. */
export class Publisher {
  readonly #socket: Socket;
  #onPong: () => void = () => {};
  #onError: (error: Error) => void = () => {};

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.setEncoding('latin1');
    socket.on('data', (text) => this.#read(String(text)));
    socket.on('error', (error) => this.#onError(error));
    socket.on('close', () => this.#onError(new Error('the broker closed the publishing connection')));
  }

  static async connect(broker: Broker): Promise<Publisher> {
    const { hostname, port } = new URL(broker.urlFor('nats'));
    const publisher = new Publisher(connect({ host: hostname, port: Number(port), noDelay: true }));
    publisher.#socket.write('CONNECT {"verbose":false,"pedantic":false,"protocol":1}\r\n');
    await publisher.flush();
    return publisher;
  }

  /** Writes them all at once and returns the moment before. */
  publishAll(events: readonly string[]): number {
    const bytes = Buffer.concat(events.map(encodePublish));
    const startedAt = monotonicMs();
    this.#socket.write(bytes);
    return startedAt;
  }

  /** Publishes one by one on a fixed schedule, calling back at each; returns when each was written. */
  async publishAtRate(
    events: readonly string[],
    perSecond: number,
    onPublished: (at: number) => void = () => {},
  ): Promise<number[]> {
    const frames = events.map(encodePublish);
    const publishedAt: number[] = [];
    const startedAt = monotonicMs();
    for (const [index, frame] of frames.entries()) {
      // The schedule is absolute: a late timer does not lower the rate, and what is timed is the real write.
      const delay = startedAt + (index * 1e3) / perSecond - monotonicMs();
      if (delay > 0) await sleep(delay);
      const now = monotonicMs();
      this.#socket.write(frame);
      publishedAt.push(now);
      onPublished(now);
    }
    return publishedAt;
  }

  /** Resolves when the broker has read everything written so far. */
  async flush(): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    await new Promise<void>((resolve, reject) => {
      timer = setTimeout(() => reject(new Error('the broker answers no ping')), FLUSH_TIMEOUT_MS);
      this.#onPong = resolve;
      this.#onError = reject;
      this.#socket.write('PING\r\n');
    }).finally(() => clearTimeout(timer));
  }

  close(): void {
    this.#onError = () => {};
    this.#socket.destroy();
  }

  #read(text: string): void {
    if (text.includes('-ERR')) this.#onError(new Error(text.trim()));
    if (text.includes('PING')) this.#socket.write('PONG\r\n');
    if (text.includes('PONG')) this.#onPong();
  }
}

function encodePublish(event: string): Buffer {
  return Buffer.from(`PUB ${EVENT_SUBJECT} ${Buffer.byteLength(event)}\r\n${event}\r\n`);
}
