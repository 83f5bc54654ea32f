import { describe, expect, test } from 'vitest';

import { json, noContent, notModified, preflight, problemResponse, readBody } from '../src/http.ts';
import { MAX_BODY_BYTES } from '../src/limits.ts';
import { ProblemError } from '../src/problems.ts';
import { encodeUtf8 } from '../src/utf8.ts';

const VARY = 'origin, access-control-request-method, access-control-request-headers';
const EXPOSED = 'Cellos-Cursor, ETag, Link, Retry-After, Idempotent-Replayed';

describe('answers', () => {
  test.each<[string, () => Response]>([
    ['json', () => json('{}')],
    ['no content', () => noContent({})],
    ['not modified', () => notModified({ etag: '"x"' })],
    ['preflight', preflight],
    ['problem', () => problemResponse(new ProblemError('not-found', 'x'))],
    [
      'problem with headers',
      () => problemResponse(new ProblemError('conflict', 'x', { headers: { allow: 'GET' } })),
    ],
    ['unexpected', () => problemResponse(new Error('x'))],
  ])('HTTP-8 CORS is on every answer: %s', (_what, answer) => {
    const { headers } = answer();
    expect(headers.get('access-control-allow-origin')).toBe('*');
    expect(headers.get('vary')?.toLowerCase()).toBe(VARY);
    expect(headers.get('access-control-expose-headers')).toBe(EXPOSED);
    expect(headers.has('access-control-allow-credentials')).toBe(false);
  });

  test('HTTP-7 HTTP-9 the preflight is empty and lists GET and OPTIONS only', async () => {
    const answer = preflight();
    expect(answer.status).toBe(200);
    expect(await answer.text()).toBe('');
    const list = (name: string) => (answer.headers.get(name) ?? '').toLowerCase().split(/, */).sort();
    expect(list('access-control-allow-methods')).toEqual(['get', 'options']);
    expect(list('access-control-allow-headers')).toEqual([
      'authorization',
      'content-type',
      'if-none-match',
      'last-event-id',
    ]);
  });

  test('HTTP-17 JSON texts and bytes, with their status', async () => {
    for (const body of ['{"a":1.0}', encodeUtf8('{"a":1.0}')]) {
      const answer = json(body, 201);
      expect([answer.status, answer.headers.get('content-type')]).toEqual([201, 'application/json']);
      expect(await answer.text()).toBe('{"a":1.0}');
    }
    expect(json('[]').status).toBe(200);
    const more = { 'cellos-cursor': '7' };
    expect(json('[]', 200, more).headers.get('cellos-cursor')).toBe('7');
    const empty = noContent(more);
    expect([empty.status, await empty.text(), empty.headers.get('cellos-cursor')]).toEqual([204, '', '7']);
    expect([notModified(more).status, notModified(more).headers.get('content-type')]).toEqual([304, null]);
  });

  test('HTTP-2 problems have their own content type, status and headers', async () => {
    const answer = problemResponse(
      new ProblemError('method-not-allowed', 'x', { headers: { allow: 'GET, HEAD' } }),
    );
    expect([answer.status, answer.headers.get('content-type'), answer.headers.get('allow')]).toEqual([
      405,
      'application/problem+json',
      'GET, HEAD',
    ]);
    expect(Object.keys((await answer.json()) as object)).toEqual(['type', 'title', 'status', 'detail']);
  });
});

describe('bodies', () => {
  const URL = 'http://localhost/v1/formations';

  /** A body in chunks, without a length; tells how much of it was asked for. */
  function chunked(bytes: number, chunk = 1024) {
    const progress = { taken: 0, cancelled: false };
    const body = new ReadableStream<Uint8Array>(
      {
        pull(controller) {
          if (progress.taken >= bytes) return controller.close();
          const next = Math.min(chunk, bytes - progress.taken);
          progress.taken += next;
          controller.enqueue(new Uint8Array(next).fill(0x61));
        },
        cancel() {
          progress.cancelled = true;
        },
      },
      { highWaterMark: 0 },
    );
    const init = { method: 'POST', body, duplex: 'half' } as RequestInit;
    return { request: new Request(URL, init), progress };
  }

  const declared = (body: Uint8Array<ArrayBuffer>) =>
    new Request(URL, { method: 'POST', body, headers: { 'content-length': String(body.byteLength) } });

  async function refusal(request: Request): Promise<ProblemError> {
    const error: unknown = await readBody(request).then(
      () => new Error('was taken'),
      (reason: unknown) => reason,
    );
    if (!(error instanceof ProblemError)) throw error;
    return error;
  }

  test('HTTP-15 64 KiB are taken, however they are sent', async () => {
    expect(await readBody(chunked(MAX_BODY_BYTES).request)).toHaveLength(MAX_BODY_BYTES);
    expect(await readBody(chunked(MAX_BODY_BYTES, MAX_BODY_BYTES).request)).toHaveLength(MAX_BODY_BYTES);
    const bytes = new Uint8Array(MAX_BODY_BYTES).fill(0x61);
    expect(await readBody(declared(bytes))).toHaveLength(MAX_BODY_BYTES);
    expect(await readBody(new Request(URL, { method: 'POST', body: bytes }))).toHaveLength(MAX_BODY_BYTES);
  });

  test('HTTP-15 one byte more is 413, whatever it holds', async () => {
    for (const byte of [0x61, 0xff, 0x20]) {
      const bytes = new Uint8Array(MAX_BODY_BYTES + 1).fill(byte);
      expect((await refusal(declared(bytes))).status).toBe(413);
      expect((await refusal(new Request(URL, { method: 'POST', body: bytes }))).code).toBe(
        'payload-too-large',
      );
    }
    expect((await refusal(chunked(MAX_BODY_BYTES + 1).request)).status).toBe(413);
  });

  test('HTTP-15 what goes on and on is not read on', async () => {
    const { request, progress } = chunked(1024 * 1024 * 1024);
    expect((await refusal(request)).status).toBe(413);
    expect(progress.cancelled).toBe(true);
    expect(progress.taken).toBeLessThanOrEqual(MAX_BODY_BYTES + 16 * 1024);
  });

  test('HTTP-15 a declared length that is too small lets nothing through', async () => {
    const longer = new Request(URL, {
      method: 'POST',
      body: new Uint8Array(MAX_BODY_BYTES + 1).fill(0x61),
      headers: { 'content-length': '3' },
    });
    expect((await refusal(longer)).status).toBe(413);
  });

  test('HTTP-28 characters are counted in bytes, and put together over chunks', async () => {
    const text = 'ä😀'.repeat(1000);
    const bytes = encodeUtf8(text);
    let at = 0;
    const body = new ReadableStream<Uint8Array>({
      pull(controller) {
        if (at >= bytes.byteLength) return controller.close();
        controller.enqueue(bytes.slice(at, (at += 7)));
      },
    });
    const init = { method: 'POST', body, duplex: 'half' } as RequestInit;
    expect(await readBody(new Request(URL, init))).toBe(text);
    expect((await refusal(declared(encodeUtf8('ä'.repeat(MAX_BODY_BYTES / 2 + 1))))).status).toBe(413);
  });

  test('HTTP-2 what is not UTF-8 is 400; no body is an empty text', async () => {
    expect((await refusal(declared(Uint8Array.of(0x7b, 0xff)))).status).toBe(400);
    expect(await readBody(new Request(URL, { method: 'POST' }))).toBe('');
    expect(await readBody(declared(new Uint8Array()))).toBe('');
  });
});
