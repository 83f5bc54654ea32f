// How every answer is built: CORS headers are on all of them because there is no other way to make one. Headers are
// plain objects and bodies texts or bytes, which server packages write without a detour through streams.
import { MAX_BODY_BYTES } from './limits.ts';
import { problemBody, ProblemError, toProblem } from './problems.ts';
import { concat, decodeUtf8 } from './utf8.ts';

/** On every answer, also on the 101 that an adapter writes itself. */
export const CORS_HEADERS = {
  'access-control-allow-origin': '*',
  'access-control-expose-headers': 'Cellos-Cursor, ETag, Link, Retry-After, Idempotent-Replayed',
  vary: 'origin, access-control-request-method, access-control-request-headers',
};

const JSON_HEADERS = { ...CORS_HEADERS, 'content-type': 'application/json' };

/** What a response can be made of here. */
export type ResponseBody = string | Uint8Array<ArrayBuffer> | ReadableStream<Uint8Array>;

/** 200 (or another status) with a JSON text, its bytes, or a stream of them. */
export function json(
  body: ResponseBody,
  status = 200,
  headers: Readonly<Record<string, string>> = {},
): Response {
  return new Response(body, { status, headers: { ...JSON_HEADERS, ...headers } });
}

/** 200 with a text of another type. */
export function plain(
  body: string,
  contentType: string,
  headers: Readonly<Record<string, string>> = {},
): Response {
  return new Response(body, { headers: { ...CORS_HEADERS, 'content-type': contentType, ...headers } });
}

/** 204. */
export function noContent(headers: Readonly<Record<string, string>>): Response {
  return new Response(null, { status: 204, headers: { ...CORS_HEADERS, ...headers } });
}

/** What is sent as it comes: server-sent events, or a JSON text on each line. */
export type StreamType = 'text/event-stream' | 'application/x-ndjson';

/** 200 with a stream; without a body for HEAD. Nothing on the way may keep or collect it. */
export function stream(body: ReadableStream<Uint8Array> | null, type: StreamType): Response {
  return new Response(body, {
    headers: {
      ...CORS_HEADERS,
      'content-type': type,
      'cache-control': 'no-store',
      // nginx collects answers unless told not to.
      'x-accel-buffering': 'no',
    },
  });
}

/** 304. */
export function notModified(headers: Readonly<Record<string, string>>): Response {
  return new Response(null, { status: 304, headers: { ...CORS_HEADERS, ...headers } });
}

/** The answer to OPTIONS on any path. */
export function preflight(): Response {
  return new Response(null, {
    status: 200,
    headers: {
      ...CORS_HEADERS,
      'access-control-allow-methods': 'GET, OPTIONS',
      'access-control-allow-headers': 'authorization, content-type, if-none-match, last-event-id',
      'content-length': '0',
    },
  });
}

/** Any error as application/problem+json. */
export function problemResponse(error: unknown): Response {
  const problem = toProblem(error);
  return new Response(problemBody(problem), {
    status: problem.status,
    headers: { ...CORS_HEADERS, 'content-type': 'application/problem+json', ...problem.options.headers },
  });
}

function tooLarge(): ProblemError {
  return new ProblemError('payload-too-large', `the request body is larger than ${MAX_BODY_BYTES} bytes`);
}

/** The body as text. Throws 413 beyond 64 KiB without reading on, 400 when it is not UTF-8. */
export async function readBody(request: Request): Promise<string> {
  const declared = request.headers.get('content-length');
  if (declared !== null && Number(declared) > MAX_BODY_BYTES) throw tooLarge();
  let bytes: Uint8Array;
  try {
    // A declared length is enforced by the HTTP parser; only an undeclared one has to be counted here.
    bytes = declared === null ? await readCounted(request) : new Uint8Array(await request.arrayBuffer());
  } catch (error) {
    if (error instanceof ProblemError) throw error;
    // The client has left, or sent less than it declared: no failure of ours.
    throw new ProblemError('bad-request', 'the request body did not arrive', { cause: error });
  }
  if (bytes.byteLength > MAX_BODY_BYTES) throw tooLarge();
  const text = decodeUtf8(bytes);
  if (text === null) throw new ProblemError('bad-request', 'the request body is not UTF-8');
  return text;
}

async function readCounted(request: Request): Promise<Uint8Array> {
  if (request.body === null) return new Uint8Array();
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of request.body) {
    length += chunk.byteLength;
    if (length > MAX_BODY_BYTES) throw tooLarge();
    chunks.push(chunk);
  }
  return concat(chunks);
}
