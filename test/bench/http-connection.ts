// Owns the bench's HTTP client: one keep-alive connection on a raw socket, one request at a time, no parsing
// beyond status and length, so that its cost stays small beside the server's.
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { monotonicMs } from './usage.ts';

const READ_BUFFER_BYTES = 256 * 1024;
const REQUEST_TIMEOUT_MS = 30_000;
const HEAD_END = Buffer.from('\r\n\r\n');
const MAX_HEAD_BYTES = 64 * 1024;

/** Where a server listens and what it takes to be let in. */
export interface Address {
  readonly host: string;
  readonly port: number;
  readonly token: string;
}

/** One complete answer; `body` is empty unless the connection keeps bodies. */
export interface TimedResponse {
  readonly status: number;
  readonly length: number;
  readonly body: Buffer;
  readonly headAt: number;
}

/** The bytes of a request; with a body it is a POST. */
export function encodeRequest(address: Address, path: string, body?: string): Buffer {
  const head = `${body === undefined ? 'GET' : 'POST'} ${path} HTTP/1.1\r\nHost: ${address.host}:${address.port}\r\nAuthorization: Bearer ${address.token}\r\n`;
  if (body === undefined) return Buffer.from(`${head}\r\n`);
  return Buffer.from(
    `${head}Content-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
  );
}

/** A connection whose answers arrive at `onResponse` in the order of the requests. */
export class HttpConnection {
  readonly #socket: Socket;
  readonly #opened: Promise<void>;
  #onResponse: (response: TimedResponse) => void = () => {};
  #onError: (error: Error) => void = () => {};
  #head: Buffer = Buffer.alloc(0);
  #status = 0;
  #length = 0;
  #missing = -1;
  #headAt = 0;
  #chunks: Buffer[] = [];
  /** Whether bodies are kept; without it only their lengths are. */
  keepBodies = true;

  constructor(address: Address) {
    // A buffer per socket: Windows reads into it ahead of time, so that it cannot be shared.
    const buffer = Buffer.allocUnsafe(READ_BUFFER_BYTES);
    const onread = {
      buffer,
      callback: (bytes: number) => {
        this.#read(buffer.subarray(0, bytes));
        return true;
      },
    };
    this.#socket = connect({ host: address.host, port: address.port, noDelay: true, onread });
    this.#opened = new Promise((resolve, reject) => {
      this.#socket.once('connect', () => resolve());
      this.#socket.once('error', reject);
    });
    this.#opened.catch(() => {});
    this.#socket.on('error', (error) => this.#onError(error));
    this.#socket.on('close', () => this.#onError(new Error('the server closed the connection')));
  }

  whenOpen(): Promise<void> {
    return this.#opened;
  }

  listen(onResponse: (response: TimedResponse) => void, onError: (error: Error) => void): void {
    this.#onResponse = onResponse;
    this.#onError = onError;
  }

  send(request: Buffer): void {
    this.#socket.write(request);
  }

  /** Sends one request and resolves with its answer; not to be mixed with `listen`. */
  request(request: Buffer): Promise<TimedResponse> {
    return new Promise((resolve, reject) => {
      this.listen(resolve, reject);
      this.send(request);
    });
  }

  /** Ends the connection; with an error, whoever waits for an answer gets it. */
  close(error?: Error): void {
    if (error !== undefined) this.#onError(error);
    this.#onError = () => {};
    this.#socket.destroy();
  }

  #read(chunk: Buffer): void {
    if (this.#missing < 0) {
      this.#readHead(chunk);
      return;
    }
    if (this.keepBodies) this.#chunks.push(Buffer.from(chunk));
    this.#missing -= chunk.length;
    if (this.#missing <= 0) this.#finish();
  }

  #readHead(chunk: Buffer): void {
    const bytes = this.#head.length === 0 ? chunk : Buffer.concat([this.#head, chunk]);
    const end = bytes.indexOf(HEAD_END);
    if (end < 0) {
      this.#head = Buffer.from(bytes);
      if (bytes.length > MAX_HEAD_BYTES) this.#fail('an answer without an end of its head');
      return;
    }
    this.#head = Buffer.alloc(0);
    this.#headAt = monotonicMs();
    const head = bytes.toString('latin1', 0, end + 2);
    const length = /\r\ncontent-length: *(\d+)\r\n/i.exec(head)?.[1];
    // Both servers know the lengths of what the bench asks for; a chunked answer would be measured wrongly.
    if (length === undefined) return this.#fail('an answer without a content length');
    this.#status = Number(head.slice(9, 12));
    this.#length = Number(length);
    const body = bytes.subarray(end + HEAD_END.length);
    this.#missing = this.#length - body.length;
    if (this.keepBodies && body.length > 0) this.#chunks.push(Buffer.from(body));
    if (this.#missing <= 0) this.#finish();
  }

  #finish(): void {
    const body = this.#chunks.length === 1 ? (this.#chunks[0] as Buffer) : Buffer.concat(this.#chunks);
    const response = { status: this.#status, length: this.#length, body, headAt: this.#headAt };
    const overrun = this.#missing < 0;
    this.#missing = -1;
    this.#chunks = [];
    if (overrun) this.#fail('more bytes than the answer announced');
    else this.#onResponse(response);
  }

  #fail(message: string): void {
    this.close(new Error(message));
  }
}

/** One GET on a connection of its own, bounded to thirty seconds. */
export async function requestOnce(address: Address, path: string): Promise<TimedResponse> {
  const connection = new HttpConnection(address);
  const timer = setTimeout(() => connection.close(new Error('no answer in time')), REQUEST_TIMEOUT_MS);
  try {
    await connection.whenOpen();
    return await connection.request(encodeRequest(address, path));
  } finally {
    clearTimeout(timer);
    connection.close();
  }
}
