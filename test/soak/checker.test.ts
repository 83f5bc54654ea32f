// The checker finds what it is there to find: each kind of violation, made by hand, is reported, and what is allowed is not.
import { describe, expect, test } from 'vitest';
import { LOST, Story, UNAVAILABLE, answered, conflict, create, created, idOf, timeOf } from './story.ts';
import { checkViews } from './views.ts';

const A = idOf('a');
const B = idOf('b');
/** Longer ago than a server may be behind. */
const LATER = 10_000;

describe('OUT-40 events and answers', () => {
  test('a history in which all is well has no violations', () => {
    const story = new Story();
    const first = story.admit(A, 'one', 'm1');
    const record = { id: A, phase: 'PENDING', updated_at: timeOf(5) };
    story.ask({ request: { kind: 'read', id: A, after: first }, outcome: answered(200, record) });
    story.ask({ request: create('one', 'm2'), outcome: conflict('one', A) });
    story.change(A, 'one', 'running', 'r1');
    story.remove(A, 'one');
    story.remove(A, 'one');
    story.ask({ request: { kind: 'delete-by-name', name: 'one' }, outcome: answered(204), key: 'k' });
    story.event({ id: A, name: 'one', phase: 'failed', reason: 'deleted by operator' });
    story.admit(B, 'one', 'm3', { server: 'deno', key: 'k2' });
    story.ask({
      request: { kind: 'delete', id: idOf('f') },
      outcome: answered(404, { detail: 'not known' }),
    });
    expect(story.violations()).toEqual([]);
  });

  test.each([
    ['503', UNAVAILABLE],
    ['a lost connection', LOST],
  ])('%s may have one event, or none', (_, outcome) => {
    const story = new Story();
    story.ask({ request: create('one', 'm1'), outcome });
    expect(story.kinds).toEqual([]);
    story.event({ id: A, name: 'one', phase: 'created', mark: 'm1' });
    expect(story.kinds).toEqual([]);
    story.remove(A, 'one');
    story.event({ id: B, name: 'one', phase: 'created', mark: 'm1', at: 5 });
    expect(story.kinds).toEqual(['event-without-request']);
  });

  test('a success without an event is found: of a creation, a status, a deletion', () => {
    const story = new Story();
    story.admit(A, 'one', 'm1');
    story.ask({ request: create('two', 'm2'), outcome: created(B, 'two') });
    story.ask({
      request: { kind: 'status', id: A, phase: 'RUNNING', reason: 'r' },
      outcome: answered(204),
    });
    story.ask({ request: { kind: 'delete', id: A }, outcome: answered(204) });
    expect(story.violations().map(({ kind }) => kind)).toEqual(Array(3).fill('success-without-event'));
  });

  test('of two deletions with one event between them one is found', () => {
    const story = new Story();
    story.admit(A, 'one', 'm1');
    for (const by of [
      { kind: 'delete', id: A },
      { kind: 'delete-by-name', name: 'one' },
    ] as const) {
      story.ask({ request: by, outcome: answered(204), from: 20, to: 40 });
    }
    story.event({ id: A, name: 'one', phase: 'failed', reason: 'deleted by operator', at: 30 });
    expect(story.violations().map(({ kind }) => kind)).toEqual(['success-without-event']);
  });

  test('an event outside of its request is not its event', () => {
    const story = new Story();
    story.ask({ request: create('one', 'm1'), outcome: created(A, 'one') });
    story.event({ id: A, name: 'one', phase: 'created', mark: 'm1', at: LATER });
    expect(story.kinds).toEqual(['event-without-request', 'success-without-event']);
  });

  test('a second event of one success is found', () => {
    const story = new Story();
    story.admit(A, 'one', 'm1');
    story.change(A, 'one', 'running', 'r1');
    story.event({ id: A, name: 'one', phase: 'running', reason: 'r1' });
    expect(story.kinds).toEqual(['event-without-request']);
  });

  test.each([
    ['409', conflict('one', A)],
    ['400', answered(400, { detail: 'no' })],
    ['a 503 that says so', answered(503, { detail: 'nothing was written' }, { 'retry-after': '1' })],
    ['a refused connection', { kind: 'refused' } as const],
  ])('an event of %s is found', (_, outcome) => {
    const story = new Story();
    story.ask({ request: create('one', 'm1'), outcome });
    story.event({ id: A, name: 'one', phase: 'created', mark: 'm1' });
    expect(story.kinds).toContain('event-without-request');
  });

  test('another document, id, name, subject or cursor than asked for or answered is found', () => {
    const other = new Story();
    other.ask({ request: create('one', 'm1'), outcome: created(A, 'one') });
    other.event({ id: A, name: 'one', phase: 'created', document: { name: 'one', mark: 'm1', more: 1 } });
    expect(other.kinds).toEqual(['other-document']);

    const misnamed = new Story();
    misnamed.ask({
      request: create('one', 'm1'),
      outcome: answered(201, { id: A, name: 'two', status: 'PENDING' }),
    });
    misnamed.event({ id: A, name: 'one', phase: 'created', mark: 'm1', subject: 'cellos.events.v1' });
    expect(misnamed.kinds).toEqual(['wrong-answer', 'wrong-subject']);

    const misled = new Story();
    misled.ask({ request: create('one', 'm1'), outcome: created(B, 'one') });
    misled.event({ id: A, name: 'one', phase: 'created', mark: 'm1' });
    expect(misled.kinds).toContain('success-without-event');

    const cursor = new Story();
    cursor.admit(A, 'one', 'm1');
    const outcome = answered(204, '', { 'cellos-cursor': '7' });
    cursor.remove(A, 'one', { outcome });
    expect(cursor.kinds).toContain('success-without-event');
  });

  test('an id that is admitted twice, and a change of one that never was, are found', () => {
    const story = new Story();
    story.admit(A, 'one', 'm1');
    story.remove(A, 'one');
    story.admit(A, 'one', 'm2');
    story.change(B, 'two', 'running', 'r');
    expect(story.kinds).toEqual(['change-of-unknown', 'id-created-twice']);
  });

  test('answers that are late, unknown or without Retry-After are found', () => {
    const story = new Story();
    story.ask({ request: create('one', 'm1'), outcome: UNAVAILABLE, to: 7000 });
    story.ask({ request: create('one', 'm2'), outcome: answered(503, { detail: 'no' }) });
    story.ask({ request: create('one', 'm3'), outcome: answered(500, { detail: 'no' }) });
    expect(story.violations().map(({ kind }) => kind)).toEqual([
      'late-answer',
      'no-retry-after',
      'unexpected-answer',
    ]);
  });
});

describe('OUT-41 names', () => {
  test('two live holders are found', () => {
    const story = new Story();
    story.admit(A, 'one', 'm1');
    story.admit(B, 'one', 'm2', { server: 'deno' });
    expect(story.kinds).toEqual(['two-live-holders']);
  });

  test('a finished holder, and one that was revived, may be followed by another', () => {
    const story = new Story();
    story.admit(A, 'one', 'm1');
    story.change(A, 'one', 'completed', 'r1');
    story.change(A, 'one', 'running', 'r2');
    story.admit(B, 'one', 'm2', { server: 'deno' });
    expect(story.kinds).toEqual([]);
  });

  test('a server that admits beside a revival of its own is found', () => {
    const story = new Story();
    story.admit(A, 'one', 'm1');
    story.remove(A, 'one');
    story.change(A, 'one', 'running', 'r2');
    story.admit(B, 'one', 'm2');
    expect(story.kinds).toEqual(['admitted-against-own-view']);
  });

  test('one whose answer is repeated after a revival did not admit beside it', () => {
    const story = new Story();
    story.admit(A, 'one', 'm1');
    story.remove(A, 'one');
    story.ask({ request: create('one', 'm2'), outcome: created(B, 'one'), key: 'k', from: 40, to: 80 });
    story.change(A, 'one', 'running', 'r2', { from: 45, to: 55 });
    story.event({ id: B, name: 'one', phase: 'created', mark: 'm2', at: 60 });
    const answer = { id: B, name: 'one', status: 'PENDING' };
    const repeated = answered(201, answer, { 'idempotent-replayed': 'true' });
    story.ask({ request: create('one', 'm2'), outcome: repeated, key: 'k', from: 90 });
    expect(story.kinds).toEqual([]);
  });

  test('a 409 that names nobody, or somebody who never was, is found', () => {
    const story = new Story();
    story.ask({ request: create('one', 'm1'), outcome: answered(409, { detail: 'taken' }) });
    story.ask({ request: create('one', 'm2'), outcome: conflict('one', A) });
    expect(story.kinds).toEqual(['conflict-with-nobody', 'conflict-without-holder']);
  });

  test('a 409 that names one who is admitted afterwards is found', () => {
    const story = new Story();
    story.ask({ request: create('one', 'm1'), outcome: conflict('one', A) });
    story.admit(A, 'one', 'm2', { from: LATER });
    expect(story.kinds).toEqual(['conflict-with-finished']);
  });

  test('a 409 that names one who is finished is found, unless the server was cut off and did not end it itself', () => {
    const story = new Story();
    story.admit(A, 'one', 'm1');
    story.change(A, 'one', 'failed', 'r1');
    const meanwhile = { from: 15, to: 21 };
    story.ask({ request: create('one', 'm2'), outcome: conflict('one', A), server: 'deno', ...meanwhile });
    expect(story.kinds).toEqual([]);
    story.ask({ request: create('one', 'm3'), outcome: conflict('one', A), server: 'deno', from: LATER });
    expect(story.kinds).toEqual(['conflict-with-finished']);
    story.disturb(LATER - 2000, LATER - 1000);
    expect(story.kinds).toEqual([]);
    story.ask({ request: create('one', 'm4'), outcome: conflict('one', A) });
    expect(story.kinds).toEqual(['conflict-with-finished']);
  });
});

describe('OUT-42 reads after writes', () => {
  const read = (after: number) => ({ kind: 'read', id: A, after }) as const;

  test('a 404 for what is admitted is found, unless the server was cut off and did not admit it itself', () => {
    const request = { kind: 'delete', id: A } as const;
    const unknown = answered(404, { detail: 'not known' });
    const own = new Story();
    own.disturb(0, 100);
    own.admit(A, 'one', 'm1');
    own.ask({ request, outcome: unknown, server: 'deno' });
    own.ask({ request, outcome: unknown, life: 2 });
    expect(own.kinds).toEqual([]);
    own.ask({ request, outcome: unknown });
    expect(own.kinds).toEqual(['known-not-found']);

    const other = new Story();
    other.admit(A, 'one', 'm1');
    other.ask({ request, outcome: unknown, server: 'deno', from: 2, to: 12 });
    other.ask({ request, outcome: unknown, server: 'deno' });
    other.ask({
      request: { kind: 'delete-by-name', name: 'one' },
      outcome: unknown,
      server: 'deno',
    });
    expect(other.violations().map(({ kind }) => kind)).toEqual(['known-not-found', 'known-not-found']);
  });

  test('what the writer does not find, or finds as it was before, or as it never was, is found', () => {
    const story = new Story();
    const write = story.admit(A, 'one', 'm1');
    const before = { id: A, phase: 'PENDING', updated_at: timeOf(5) };
    story.ask({ request: read(write), outcome: answered(404) });
    const change = story.change(A, 'one', 'running', 'r1');
    story.ask({ request: read(change), outcome: answered(200, before), life: 2 });
    expect(story.kinds).toEqual(['own-write-not-found']);
    story.ask({ request: read(change), outcome: answered(200, before) });
    story.ask({ request: read(change), outcome: answered(200, { ...before, reason: 'r2' }) });
    expect(story.kinds).toEqual(['own-write-not-found', 'own-write-not-seen', 'shown-not-stored']);
  });

  test('a deletion that the writer does not see is found', () => {
    const story = new Story();
    story.admit(A, 'one', 'm1');
    const before = { id: A, phase: 'PENDING', updated_at: timeOf(5) };
    const removed = story.remove(A, 'one');
    story.ask({ request: read(removed), outcome: answered(200, before) });
    expect(story.kinds).toEqual(['own-write-not-seen']);
  });
});

describe('OUT-44 keys', () => {
  const request = create('one', 'm1');
  const replayed = { 'idempotent-replayed': 'true' };
  const again = answered(201, { id: A, name: 'one', status: 'PENDING' }, replayed);

  test('a lost answer, a 503 and successes after it share one event', () => {
    const story = new Story();
    story.ask({ request, outcome: LOST, key: 'k' });
    story.event({ id: A, name: 'one', phase: 'created', mark: 'm1' });
    story.ask({ request, outcome: UNAVAILABLE, key: 'k', server: 'deno' });
    story.ask({ request, outcome: again, key: 'k', server: 'deno' });
    story.ask({ request, outcome: again, key: 'k', life: 2 });
    story.ask({ request: create('one', 'm2'), outcome: answered(422, { detail: 'used' }), key: 'k' });
    expect(story.violations()).toEqual([]);
  });

  test('a second event under one key is found', () => {
    const story = new Story();
    story.ask({ request: { kind: 'delete-by-name', name: 'one' }, outcome: LOST, key: 'k' });
    story.event({ id: A, name: 'one', phase: 'failed', reason: 'deleted by operator' });
    story.ask({ request: { kind: 'delete-by-name', name: 'one' }, outcome: answered(204), key: 'k' });
    story.event({ id: A, name: 'one', phase: 'failed', reason: 'deleted by operator' });
    expect(story.kinds).toContain('event-without-request');
  });

  test('successes that differ, or that are both the first, are found', () => {
    const story = new Story();
    story.ask({ request, outcome: created(A, 'one'), key: 'k' });
    story.event({ id: A, name: 'one', phase: 'created', mark: 'm1' });
    story.ask({ request, outcome: created(A, 'one'), key: 'k' });
    expect(story.kinds).toEqual(['answered-anew-twice']);
    story.ask({ request, outcome: answered(201, { id: A }, replayed), key: 'k' });
    expect(story.kinds).toEqual(['answered-anew-twice', 'answers-differ', 'wrong-answer']);
  });

  test('a success that is forgotten is found, also when its answer was lost', () => {
    const forgotten = new Story();
    forgotten.admit(A, 'one', 'm1', { key: 'k' });
    forgotten.ask({ request, outcome: answered(404, { detail: 'not known' }), key: 'k' });
    expect(forgotten.kinds).toContain('success-forgotten');
    forgotten.disturb(0, 100);
    expect(forgotten.kinds).toContain('success-forgotten');

    const lost = new Story();
    lost.ask({ request, outcome: LOST, key: 'k' });
    lost.event({ id: A, name: 'one', phase: 'created', mark: 'm1' });
    lost.ask({ request, outcome: conflict('one', A), key: 'k' });
    expect(lost.kinds).toEqual(['conflict-with-itself']);
  });

  test('a server that was cut off may not refuse what it cannot know', () => {
    const story = new Story();
    story.disturb(0, 100);
    story.admit(A, 'one', 'm1');
    story.change(A, 'one', 'running', 'r1', { key: 'k' });
    const repeated = { kind: 'status', id: A, phase: 'RUNNING', reason: 'r1' } as const;
    story.ask({ request: repeated, outcome: answered(404), key: 'k', server: 'deno' });
    expect(story.kinds).toEqual(['success-forgotten']);
  });

  test('a key that is taken for something else, or refused without a reason, is found', () => {
    const story = new Story();
    story.admit(A, 'one', 'm1', { key: 'k' });
    story.admit(B, 'two', 'm2', { key: 'k' });
    expect(story.kinds).toEqual(['key-reused']);
    story.ask({ request: create('three', 'm3'), outcome: answered(422, { detail: 'used' }), key: 'k2' });
    expect(story.kinds).toEqual(['key-not-reused', 'key-reused']);
  });
});

describe('OUT-45 conditions', () => {
  const seen = { tag: '"1"', phase: 'PENDING', reason: null, time: timeOf(5) };
  const request = { kind: 'status', id: A, phase: 'RUNNING', reason: 'r2', seen } as const;

  test('a success after what was read, and a 412 after a change, are as they should be', () => {
    const story = new Story();
    story.admit(A, 'one', 'm1');
    story.change(A, 'one', 'running', 'r2', { request });
    story.ask({ request: { ...request, reason: 'r3' }, outcome: answered(412) });
    expect(story.kinds).toEqual([]);
  });

  test('a success over a change that was not read is found', () => {
    const story = new Story();
    story.admit(A, 'one', 'm1');
    story.change(A, 'one', 'degraded', 'r1', { server: 'deno' });
    story.change(A, 'one', 'running', 'r2', { request });
    expect(story.kinds).toEqual(['lost-update']);
  });

  test('a 412 without a change is found, but not where a cell has changed the record', () => {
    const story = new Story();
    story.admit(A, 'one', 'm1');
    story.ask({ request, outcome: answered(412) });
    expect(story.kinds).toEqual(['precondition-without-change']);
    story.cell(A);
    expect(story.kinds).toEqual([]);
  });
});

describe('OUT-43 views', () => {
  const story = new Story();
  story.admit(A, 'one', 'm1');
  const time = timeOf(5);
  const record = {
    id: A,
    name: 'one',
    status: 'PENDING',
    document: { name: 'one', mark: 'm1' },
    phase: 'PENDING',
    created_at: time,
    updated_at: time,
    cells: [],
  };
  const view = (formations: unknown[], cursor = 1) => ({
    server: 'node',
    formations: JSON.stringify({ formations, cursor }),
    cells: '[]',
  });
  const kinds = (...of: Parameters<typeof checkViews>) => checkViews(...of).map(({ kind }) => kind);
  const good = view([record]);

  test('views that agree have no violations', () => {
    expect(kinds([good, good], good, story.messages)).toEqual([]);
  });

  test('a server that shows something else than a fresh one is found', () => {
    const others = [view([record], 2), { ...good, cells: '[{}]' }];
    expect(kinds(others, good, story.messages)).toEqual(['projection-differs', 'projection-differs']);
  });

  test.each([
    ['a record that is missing', view([])],
    ['one that is too many', view([record, { ...record, id: B }])],
    ['one that is there twice', view([record, record])],
    ['another status', view([{ ...record, status: 'RUNNING' }])],
    ['another document', view([{ ...record, document: {} }])],
    ['another cursor', view([record], 2)],
  ])('%s in a fresh view is found', (_, fresh) => {
    expect(new Set(kinds([], fresh, story.messages))).toEqual(new Set(['replay-differs']));
  });
});
