// A feed client that remembers everything it was sent: frames, pings, how it was closed.
import { createConnection } from 'node:net';
import type { Socket } from 'node:net';
import { WebSocket } from 'ws';
import { parseReply } from './http-client.ts';
import type { HttpClient, Reply } from './http-client.ts';
import { until, within } from './wait.ts';

const OPEN_TIMEOUT_MS = 5000;

export interface FeedOptions {
  /** Behind the question mark, as it is sent. */
  readonly query?: string;
  readonly protocols?: string[];
  /** Null sends none. */
  readonly authorization?: string | null;
  /** The page that opens it. */
  readonly origin?: string;
  /** How long after both close frames the server may take to end the connection, before the client does; default 30 s. */
  readonly closeTimeoutMs?: number;
  /** Takes the messages instead of `frames`, from the first one on. */
  readonly onText?: (text: string) => unknown;
}

export interface Frame {
  readonly text: string;
  /** Of event frames, else undefined. */
  readonly seq: number | undefined;
}

export interface Closing {
  readonly code: number;
  readonly reason: string;
}

const FRAME = /^\{"seq":(\d+),"event":(.*)\}$/s;

/** One session, from the upgrade to its end. */
export class FeedClient {
  readonly socket: WebSocket;
  readonly frames: Frame[] = [];
  /** When each ping arrived, on `performance.now()`'s scale. */
  readonly pings: number[] = [];
  readonly openedAt = performance.now();
  closing: Closing | null = null;

  private constructor(socket: WebSocket, onText?: (text: string) => unknown) {
    this.socket = socket;
    socket.on('message', (data, isBinary) => {
      const text = isBinary ? '<binary>' : String(data);
      if (onText) {
        onText(text);
        return;
      }
      const match = FRAME.exec(text);
      this.frames.push({ text, seq: match ? Number(match[1]) : undefined });
    });
    socket.on('ping', () => this.pings.push(performance.now()));
    socket.on('close', (code, reason) => (this.closing = { code, reason: reason.toString('utf8') }));
    // A cut connection shows as close 1006.
    socket.on('error', () => {});
  }

  /** Resolves when the upgrade succeeded; rejects with the refusal's status. */
  static async open(port: number, token: string, options: FeedOptions = {}): Promise<FeedClient> {
    const socket = new WebSocket(`ws://127.0.0.1:${port}${pathOf(options)}`, options.protocols ?? [], {
      headers: headersOf(token, options),
      perMessageDeflate: false,
      ...(options.origin === undefined ? {} : { origin: options.origin }),
      ...(options.closeTimeoutMs === undefined ? {} : { closeTimeout: options.closeTimeoutMs }),
    });
    const client = new FeedClient(socket, options.onText);
    const opened = new Promise<void>((resolve, reject) => {
      socket.once('open', resolve);
      socket.once('error', reject);
    });
    await within(OPEN_TIMEOUT_MS, 'the upgrade', opened);
    return client;
  }

  get sequences(): number[] {
    return this.frames.flatMap((frame) => (frame.seq === undefined ? [] : [frame.seq]));
  }

  /** The frames' events as they were published, their text untouched. */
  get events(): string[] {
    return this.frames.map((frame) => FRAME.exec(frame.text)?.[2] ?? frame.text);
  }

  async whenSequence(sequence: number, timeoutMs?: number): Promise<void> {
    await until(() => (this.sequences.at(-1) ?? 0) >= sequence, {
      what: `the frame of ${sequence} (last ${this.sequences.at(-1)}, ${JSON.stringify(this.closing)})`,
      ...(timeoutMs === undefined ? {} : { timeoutMs }),
    });
  }

  whenFrames(count: number): Promise<unknown> {
    return until(() => this.frames.length >= count, {
      what: `${count} frames, there are ${this.frames.length}`,
    });
  }

  whenClosed(timeoutMs?: number): Promise<Closing> {
    return until(() => this.closing ?? undefined, {
      what: 'the session to be closed',
      ...(timeoutMs === undefined ? {} : { timeoutMs }),
    });
  }

  /** Closes from this side and waits for the server's answer. */
  async close(): Promise<Closing> {
    this.socket.close(1000);
    return this.whenClosed();
  }
}

/** The answer to an upgrade that is refused, or to a handshake of the caller's making. */
export async function refusedUpgrade(
  http: HttpClient,
  options: FeedOptions & { path?: string; method?: string; handshake?: Record<string, string | null> } = {},
): Promise<Reply> {
  return parseReply(await http.exchange(handshakeText(http, options)));
}

/** A session without a WebSocket library behind it: it reads only when told to and never answers a ping. */
export async function openRaw(http: HttpClient, options: FeedOptions = {}): Promise<Socket> {
  const socket = createConnection({ host: http.host, port: http.port });
  socket.on('error', () => {});
  socket.write(handshakeText(http, options));
  const head = await within(
    OPEN_TIMEOUT_MS,
    'the upgrade',
    new Promise<string>((resolve) => {
      socket.once('data', (chunk) => {
        socket.pause();
        resolve(chunk.toString('latin1'));
      });
    }),
  );
  if (!head.startsWith('HTTP/1.1 101 ')) throw new Error(`not upgraded: ${head}`);
  return socket;
}

function handshakeText(
  http: HttpClient,
  options: FeedOptions & { path?: string; method?: string; handshake?: Record<string, string | null> },
): string {
  const headers: Record<string, string | null> = {
    Host: `${http.host}:${http.port}`,
    Connection: 'Upgrade',
    Upgrade: 'websocket',
    'Sec-WebSocket-Version': '13',
    'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ==',
    ...headersOf(http.token, options),
    ...(options.protocols ? { 'Sec-WebSocket-Protocol': options.protocols.join(', ') } : {}),
    ...options.handshake,
  };
  const lines = Object.entries(headers).flatMap(([name, value]) =>
    value === null ? [] : [`${name}: ${value}`],
  );
  return [`${options.method ?? 'GET'} ${options.path ?? pathOf(options)} HTTP/1.1`, ...lines, '', ''].join(
    '\r\n',
  );
}

function pathOf(options: FeedOptions): string {
  return options.query === undefined ? '/ws/events' : `/ws/events?${options.query}`;
}

function headersOf(
  token: string,
  { authorization = `Bearer ${token}` }: FeedOptions,
): Record<string, string> {
  return authorization === null ? {} : { Authorization: authorization };
}
