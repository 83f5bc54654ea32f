// Owns one feed subscriber: upgrade, frames, the order of its sequences, and why it ended if it did.
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { FrameReader } from './frame-reader.ts';
import type { Address } from './http-connection.ts';
import { monotonicMs } from './usage.ts';

const READ_BUFFER_BYTES = 64 * 1024;
const HEAD_END = Buffer.from('\r\n\r\n');
const MAX_HEAD_BYTES = 16 * 1024;
// The nonce of RFC 6455 section 1.3: its answer is not checked, servers only insist on its shape.
const KEY = 'dGhlIHNhbXBsZSBub25jZQ==';
const PONG_HEADER = 0x8a;
const MASKED = 0x80;

/** What a subscriber is told to expect: `count` frames from `firstSequence` on. */
export interface Expectation {
  readonly firstSequence: number;
  readonly count: number;
  readonly recordTimes: boolean;
}

/** A subscriber on a raw socket. `ended` names the reason once it is refused, closed or broken. */
export class FeedClient {
  readonly #socket: Socket;
  readonly #onSettled: (client: FeedClient) => void;
  readonly #reader: FrameReader;
  #head: Buffer | null = Buffer.alloc(0);
  #settleOpening: () => void = () => {};
  /** Resolves when the upgrade was answered, either way. */
  readonly opening: Promise<void>;
  isOpen = false;
  ended: string | null = null;
  frames = 0;
  missing = 0;
  repeated = 0;
  times: Float64Array | null = null;
  #first = 0;
  #last = 0;
  #next = 0;

  /** `onSettled` is called with the last expected frame, and when the subscriber ends. */
  constructor(address: Address, since: number, onSettled: (client: FeedClient) => void) {
    this.#onSettled = onSettled;
    this.opening = new Promise((resolve) => (this.#settleOpening = resolve));
    this.#reader = new FrameReader({
      onSequence: (sequence) => this.#onSequence(sequence),
      onPing: (payload) => this.#pong(payload),
      onClose: (code, reason) => this.end(`closed ${code} ${reason}`.trim()),
      onOther: (description) => this.end(description),
    });
    const buffer = Buffer.allocUnsafe(READ_BUFFER_BYTES);
    const onread = {
      buffer,
      callback: (bytes: number) => {
        this.#read(buffer.subarray(0, bytes));
        return true;
      },
    };
    this.#socket = connect({ host: address.host, port: address.port, noDelay: true, onread });
    this.#socket.on('connect', () =>
      this.#socket.write(
        `GET /ws/events?since=${since} HTTP/1.1\r\nHost: ${address.host}:${address.port}\r\nAuthorization: Bearer ${address.token}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${KEY}\r\n\r\n`,
      ),
    );
    this.#socket.on('error', (error) => this.end(error.message));
    this.#socket.on('close', () => this.end('connection lost'));
  }

  expect({ firstSequence, count, recordTimes }: Expectation): void {
    this.#first = firstSequence;
    this.#next = firstSequence;
    this.#last = firstSequence + count - 1;
    this.frames = 0;
    this.missing = 0;
    this.repeated = 0;
    this.times = recordTimes ? new Float64Array(count) : null;
  }

  get isComplete(): boolean {
    return this.#next > this.#last;
  }

  /** Cuts the connection; the first reason given stays. */
  end(reason: string): void {
    if (this.ended !== null) return;
    this.ended = reason;
    this.isOpen = false;
    this.#socket.destroy();
    this.#settleOpening();
    this.#onSettled(this);
  }

  #read(chunk: Buffer): void {
    if (this.#head === null) {
      this.#reader.push(chunk);
      return;
    }
    const bytes = Buffer.concat([this.#head, chunk]);
    const end = bytes.indexOf(HEAD_END);
    if (end < 0) {
      this.#head = bytes;
      if (bytes.length > MAX_HEAD_BYTES) this.end('an answer without an end of its head');
      return;
    }
    const status = bytes.toString('latin1', 9, 12);
    if (status !== '101') {
      this.end(`refused ${status}`);
      return;
    }
    this.#head = null;
    this.isOpen = true;
    this.#settleOpening();
    this.#reader.push(bytes.subarray(end + HEAD_END.length));
  }

  #onSequence(sequence: number): void {
    this.frames += 1;
    if (sequence < this.#next) {
      this.repeated += 1;
      return;
    }
    this.missing += sequence - this.#next;
    this.#next = sequence + 1;
    if (this.times !== null && sequence <= this.#last) this.times[sequence - this.#first] = monotonicMs();
    if (sequence >= this.#last) this.#onSettled(this);
  }

  // RFC 6455 section 5.3: clients mask. A key of zeros leaves the payload as it is.
  #pong(payload: Buffer): void {
    this.#socket.write(
      Buffer.concat([Buffer.from([PONG_HEADER, MASKED | payload.length, 0, 0, 0, 0]), payload]),
    );
  }
}
