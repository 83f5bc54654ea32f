// HTTP as it goes over the wire: paths, headers and bodies are sent as given, which fetch would tidy up.
import { request } from 'node:http';
import type { IncomingHttpHeaders, OutgoingHttpHeaders } from 'node:http';
import { createConnection } from 'node:net';
import { expect } from 'vitest';

const REQUEST_TIMEOUT_MS = 10_000;

export interface Reply {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
}

export interface RequestOptions {
  readonly body?: string | Uint8Array;
  /** The body is sent in chunks, without a length. */
  readonly chunked?: boolean;
  readonly headers?: OutgoingHttpHeaders;
  /** Ends the connection, whether there was an answer or not. */
  readonly signal?: AbortSignal;
  /** Another value of the Authorization header; null sends none. */
  readonly authorization?: string | null;
  /** The address of this machine that it comes from. */
  readonly localAddress?: string;
}

/** A server's address with the token that opens it. */
export class HttpClient {
  readonly host: string;
  readonly port: number;
  readonly token: string;
  /** Told of every answer to `send`. */
  onReply: ((method: string, path: string, reply: Reply) => void) | null = null;

  constructor(host: string, port: number, token: string) {
    this.host = host;
    this.port = port;
    this.token = token;
  }

  send(method: string, path: string, options: RequestOptions = {}): Promise<Reply> {
    const { body, chunked = false, authorization = `Bearer ${this.token}`, signal, localAddress } = options;
    const headers: OutgoingHttpHeaders = { ...options.headers };
    if (authorization !== null) headers['authorization'] = authorization;
    if (body !== undefined && !chunked) headers['content-length'] = Buffer.byteLength(body);
    return new Promise((resolve, reject) => {
      const sent = request(
        { host: this.host, port: this.port, method, path, headers, agent: false, signal, localAddress },
        (reply) => {
          const chunks: Buffer[] = [];
          reply.on('data', (chunk: Buffer) => chunks.push(chunk));
          reply.on('end', () => {
            const text = Buffer.concat(chunks).toString('utf8');
            const received = { status: reply.statusCode ?? 0, headers: reply.headers, text };
            this.onReply?.(method, path, received);
            resolve(received);
          });
          reply.on('error', reject);
        },
      );
      sent.on('error', reject);
      sent.setTimeout(REQUEST_TIMEOUT_MS, () => sent.destroy(new Error(`${method} ${path} is not answered`)));
      // With a text Node would send the headers in UTF-8, too.
      if (body !== undefined) sent.write(Buffer.from(body));
      sent.end();
    });
  }

  get(path: string, options?: RequestOptions): Promise<Reply> {
    return this.send('GET', path, options);
  }

  /** POST of a value as JSON, or of text as it is. */
  post(path: string, body: unknown, options: RequestOptions = {}): Promise<Reply> {
    const text = typeof body === 'string' ? body : JSON.stringify(body);
    const headers = { 'content-type': 'application/json', ...options.headers };
    return this.send('POST', path, { ...options, headers, body: text });
  }

  /** The body of a 200, parsed. */
  async read<T = Record<string, unknown>>(path: string): Promise<T> {
    const reply = await this.get(path);
    expect(reply.status, `GET ${path}: ${reply.text}`).toBe(200);
    expect(reply.headers['content-type']).toMatch(/^application\/json(;|$)/);
    return JSON.parse(reply.text) as T;
  }

  /** Bytes as they are to a connection of their own; resolves with the first answer, or what there was of it. */
  exchange(bytes: string): Promise<string> {
    return new Promise((resolve, reject) => {
      const socket = createConnection({ host: this.host, port: this.port });
      let received = '';
      const end = () => {
        socket.destroy();
        resolve(received);
      };
      socket.setEncoding('latin1');
      socket.setTimeout(REQUEST_TIMEOUT_MS, () => socket.destroy(new Error('there is no answer')));
      socket.on('data', (chunk) => {
        received += String(chunk);
        if (isWhole(received)) end();
      });
      socket.on('error', (error) => (received === '' ? reject(error) : end()));
      socket.on('close', end);
      socket.write(bytes, 'latin1');
    });
  }
}

function isWhole(received: string): boolean {
  const head = received.indexOf('\r\n\r\n');
  if (head < 0) return false;
  // What follows an upgrade is no body.
  if (received.startsWith('HTTP/1.1 101 ')) return true;
  const length = /^content-length: *(\d+)/im.exec(received.slice(0, head));
  return length !== null && received.length >= head + 4 + Number(length[1]);
}

/** An answer that `exchange` received, taken apart. */
export function parseReply(received: string): Reply {
  const [head = '', ...rest] = received.split('\r\n\r\n');
  const [statusLine = '', ...lines] = head.split('\r\n');
  const headers: IncomingHttpHeaders = {};
  for (const line of lines) {
    const colon = line.indexOf(':');
    headers[line.slice(0, colon).toLowerCase()] = line.slice(colon + 1).trim();
  }
  return { status: Number(statusLine.split(' ')[1]), headers, text: rest.join('\r\n\r\n') };
}

/** The catalogue of contract section 5, as far as it can be met here. */
const PROBLEMS = {
  internal: [500, 'Internal Server Error'],
  unauthorized: [401, 'Unauthorized'],
  forbidden: [403, 'Forbidden'],
  'too-many-requests': [429, 'Too Many Requests'],
  'bad-request': [400, 'Bad Request'],
  'not-found': [404, 'Not Found'],
  conflict: [409, 'Conflict'],
  'payload-too-large': [413, 'Payload Too Large'],
  'unsupported-media-type': [415, 'Unsupported Media Type'],
  'method-not-allowed': [405, 'Method Not Allowed'],
  'service-unavailable': [503, 'Event store unavailable'],
  'too-many-sessions': [503, 'Too Many Sessions'],
  'ws/retention-exhausted': [410, 'Cursor older than stream retention'],
  'ws/epoch-changed': [410, 'Stream replaced'],
  'event-store-full': [507, 'Event store full'],
  'idempotency-key-reused': [422, 'Idempotency Key Reused'],
  'precondition-failed': [412, 'Precondition Failed'],
  'cursor-timeout': [504, 'Cursor Timeout'],
  'formation/cycle': [400, 'Formation rejected: authority cycle'],
  'formation/no-coordinator': [400, 'Formation rejected: no coordinator'],
  'formation/authority-not-narrowing': [400, 'Formation rejected: authority does not narrow'],
  'formation/duplicate-member-id': [400, 'Formation rejected: duplicate member id'],
} as const;

export type ProblemCode = keyof typeof PROBLEMS;

export interface ProblemExpectation {
  /** Where it is not the catalogue's. */
  readonly status?: number;
  /** Texts that the detail must contain. */
  readonly names?: readonly string[];
}

export interface Problem {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly detail: string;
  readonly [extension: string]: unknown;
}

/** HTTP-2 and HTTP-3 for one answer; returns the body. */
export function expectProblem(
  reply: Reply,
  code: ProblemCode,
  { status = PROBLEMS[code][0], names = [] }: ProblemExpectation = {},
): Problem {
  expect(reply.status, reply.text).toBe(status);
  expect(reply.headers['content-type']).toBe('application/problem+json');
  const problem = JSON.parse(reply.text) as Problem;
  expect(Object.keys(problem).slice(0, 4)).toEqual(['type', 'title', 'status', 'detail']);
  const { type, title } = problem;
  expect({ type, title, status: problem.status }).toEqual({
    type: `/problems/${code}`,
    title: PROBLEMS[code][1],
    status,
  });
  expect(problem.detail).toBeTypeOf('string');
  expect(problem.detail).not.toBe('');
  // Two titles of the contract have the word.
  expectDiscreet(reply.text.replace(PROBLEMS[code][1], ''));
  for (const name of names) expect(problem.detail).toContain(name);
  return problem;
}

const QUERY_PARAMETER = /["'`?]subject["'`=]?|subject (filter|parameter)|parameter subject/gi;

/** No word about what is behind the server; "subject" only as the query parameter of that name. */
export function expectDiscreet(text: string): void {
  expect(text).not.toMatch(/nats|jetstream|stream|127\.0\.0\.1:/i);
  expect(text.replaceAll(QUERY_PARAMETER, '')).not.toMatch(/subject/i);
  // oxlint-disable-next-line no-control-regex -- control characters are what must not be there
  expect(text).not.toMatch(/[\u0000-\u001f\u007f]|\\u00[01]/);
}

/** HTTP-8 for one answer. */
export function expectCors(reply: Reply): void {
  expect(reply.headers['access-control-allow-origin']).toBe('*');
  expect(listOf(reply.headers['vary'])).toEqual(
    expect.arrayContaining(['access-control-request-headers', 'access-control-request-method', 'origin']),
  );
  expect(listOf(reply.headers['access-control-expose-headers'])).toEqual([
    'cellos-cursor',
    'etag',
    'idempotent-replayed',
    'link',
    'retry-after',
  ]);
  expect(reply.headers['access-control-allow-credentials']).toBeUndefined();
}

/** The members of a header's list, in lower case, sorted. */
export function listOf(header: string | string[] | undefined): string[] {
  return (Array.isArray(header) ? header.join(',') : (header ?? ''))
    .split(',')
    .map((item) => item.trim().toLowerCase())
    .filter((item) => item !== '')
    .toSorted();
}
