import { describe, expect, test } from 'vitest';

import { problemResponse } from '../src/http.ts';
import {
  CLOSE,
  closeReason,
  problemBody,
  type ProblemCode,
  ProblemError,
  problemFrame,
  PROBLEMS,
  toProblem,
  unavailable,
} from '../src/problems.ts';

/** The contract's section 5, section 7 for the feed. */
const CONTRACT: Readonly<Record<string, readonly [status: number, title: string]>> = {
  unauthorized: [401, 'Unauthorized'],
  'bad-request': [400, 'Bad Request'],
  'not-found': [404, 'Not Found'],
  conflict: [409, 'Conflict'],
  internal: [500, 'Internal Server Error'],
  'payload-too-large': [413, 'Payload Too Large'],
  'unsupported-media-type': [415, 'Unsupported Media Type'],
  'method-not-allowed': [405, 'Method Not Allowed'],
  'service-unavailable': [503, 'Event store unavailable'],
  'formation/cycle': [400, 'Formation rejected: authority cycle'],
  'formation/no-coordinator': [400, 'Formation rejected: no coordinator'],
  'formation/authority-not-narrowing': [400, 'Formation rejected: authority does not narrow'],
  'formation/duplicate-member-id': [400, 'Formation rejected: duplicate member id'],
  'ws/retention-exhausted': [410, 'Cursor older than stream retention'],
  'ws/epoch-changed': [410, 'Stream replaced'],
};

/** Reserved, or of what goes beyond the original: in the catalogue as soon as something answers with them. */
const LATER: typeof CONTRACT = {
  'formation/multiple-coordinators': [400, 'Formation rejected: multiple coordinators'],
  'idempotency-key-reused': [422, 'Idempotency Key Reused'],
  'precondition-failed': [412, 'Precondition Failed'],
  'cursor-timeout': [504, 'Cursor Timeout'],
  'event-store-full': [507, 'Event store full'],
  'too-many-requests': [429, 'Too Many Requests'],
  forbidden: [403, 'Forbidden'],
  'too-many-sessions': [503, 'Too Many Sessions'],
};

describe('the catalogue', () => {
  test.each(Object.entries(CONTRACT))('HTTP-2 %s', (code, [status, title]) => {
    expect(PROBLEMS[code as ProblemCode]).toEqual({ status, title });
  });

  test('HTTP-2 has nothing that the contract does not have', () => {
    for (const [code, { status, title }] of Object.entries(PROBLEMS)) {
      expect([code, status, title]).toEqual([code, ...(CONTRACT[code] ?? LATER[code] ?? [])]);
    }
  });
});

describe('bodies', () => {
  test('HTTP-2 type, title, status, detail in this order, then extensions', () => {
    const problem = new ProblemError('conflict', 'held "by" x', { extensions: { holder: 'x', at: null } });
    expect(problemBody(problem)).toBe(
      String.raw`{"type":"/problems/conflict","title":"Conflict","status":409,"detail":"held \"by\" x",` +
        '"holder":"x","at":null}',
    );
  });

  test('HTTP-28 a status of its own', () => {
    const problem = new ProblemError('bad-request', 'no', { status: 422 });
    expect(JSON.parse(problemBody(problem))).toMatchObject({
      type: '/problems/bad-request',
      title: 'Bad Request',
      status: 422,
    });
    expect(problemResponse(problem).status).toBe(422);
  });

  test.each([
    ['an error', new Error('nats://secret@broker failed')],
    ['a text', 'nats://secret@broker failed'],
    ['nothing', undefined],
    ['null', null],
    ['an object', { code: 'unauthorized', status: 401, message: 'nats://secret@broker failed' }],
  ])('HTTP-3 %s becomes a 500 that says nothing of it', async (_what, thrown) => {
    const problem = toProblem(thrown);
    expect([problem.code, problem.status, problem.options.cause]).toEqual(['internal', 500, thrown]);
    expect(await problemResponse(thrown).text()).not.toMatch(/nats|secret|broker|stack/);
  });

  test('HTTP-2 a problem stays what it is', () => {
    const problem = new ProblemError('not-found', 'x');
    expect(toProblem(problem)).toBe(problem);
  });

  test('OUT-7 unavailable comes with Retry-After, and its cause is not told', async () => {
    const response = problemResponse(unavailable('later', new Error('nats://broker')));
    expect(response.status).toBe(503);
    expect(Number(response.headers.get('retry-after'))).toBeGreaterThan(0);
    expect(await response.json()).toEqual({
      type: '/problems/service-unavailable',
      title: 'Event store unavailable',
      status: 503,
      detail: 'later',
    });
  });
});

describe('the feed', () => {
  test('FEED-12 FEED-13 last frames', () => {
    expect(problemFrame('ws/retention-exhausted', { oldest_seq: 5, latest_seq: 9, epoch: 'e' })).toBe(
      '{"type":"/problems/ws/retention-exhausted","title":"Cursor older than stream retention",' +
        '"oldest_seq":5,"latest_seq":9,"epoch":"e"}',
    );
    expect(
      JSON.parse(problemFrame('ws/epoch-changed', { oldest_seq: 1, latest_seq: 0, epoch: null })),
    ).toEqual({
      type: '/problems/ws/epoch-changed',
      title: 'Stream replaced',
      oldest_seq: 1,
      latest_seq: 0,
      epoch: null,
    });
  });

  test('FEED-11 FEED-12 RUN-7 close codes', () => {
    expect(CLOSE).toMatchObject({ goingAway: 1001, policy: 1008, slowConsumer: 4408, rehydrate: 4410 });
  });

  test('FEED-11 a close reason fits into its frame', () => {
    expect(closeReason('subscribe failed')).toBe('subscribe failed');
    expect(closeReason('x'.repeat(123))).toHaveLength(123);
    expect(closeReason('x'.repeat(124))).toHaveLength(123);
  });
});
