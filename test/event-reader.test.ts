// Reading one cell's or formation's events, wherever the index begins: against all that the log holds.
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { decodeEntry } from '../src/cloudevents.ts';
import { EntryReader } from '../src/entry-reader.ts';
import { EventReader, type EventSource, startOfTail } from '../src/event-reader.ts';
import { isWithin, topicOf } from '../src/event-topic.ts';
import { toFact } from '../src/facts.ts';
import { EVENT_INDEX_CHUNK } from '../src/limits.ts';
import type { EventScope, Position } from '../src/model.ts';
import type { LogEntry } from '../src/ports.ts';
import { evolve, initialState, type ProjectionState } from '../src/projection.ts';
import { cellEvent, formationEvent, STARTED } from './support/given.ts';
import { MemoryEventLog } from './support/memory-event-log.ts';
import { signaturesOf, signed, VERIFY_KEYS } from './support/signing.ts';

const ID = 'a7571001-1a4f-5eb9-8df1-109cbbfa6692';
const OTHER = '1080a51a-d63d-581e-bdfa-10c06055ab8c';
const SCOPES: readonly EventScope[] = [
  { kind: 'cell', id: 'a' },
  { kind: 'cell', id: 'b' },
  { kind: 'cell', id: 'nobody' },
  { kind: 'formation', id: ID },
  { kind: 'formation', id: OTHER },
];
const signal = () => AbortSignal.timeout(5000);

/** A log and the view of it, whose index begins behind `floor`. */
async function sourceOf(log: MemoryEventLog, floor: Position): Promise<EventSource> {
  const state: ProjectionState = initialState();
  const { entries, bounds } = await log.read({ after: 0, limit: 1e6, signal: signal() });
  for (const entry of entries) {
    const decoded = decodeEntry(entry);
    const fact = toFact(decoded);
    evolve(state, entry.seq, fact);
    if (entry.seq <= floor) state.index.startAt(entry.seq);
    else state.index.note(entry.seq, topicOf(decoded.event, fact), state.cells);
  }
  state.cursor = bounds.lastSeq;
  return { log, state, reader: new EntryReader() };
}

/** What a scope has in (after, until], by reading everything. */
async function model({ log, state }: EventSource, scope: EventScope, after: Position, until: Position) {
  const { entries } = await log.read({ after: 0, limit: 1e6, signal: signal() });
  const isDue = (entry: LogEntry) =>
    entry.seq > after &&
    entry.seq <= until &&
    isWithin(scope, topicOf(decodeEntry(entry).event), state.cells);
  return entries.filter(isDue).map(({ seq }) => seq);
}

async function readAll(reader: EventReader, limit: number): Promise<Position[]> {
  const found: Position[] = [];
  while (!reader.isDone) {
    const events = await reader.next(limit, signal());
    expect(events.length).toBeLessThanOrEqual(limit);
    found.push(...events.map(({ seq }) => seq));
  }
  return found;
}

const payload = fc.oneof(
  fc.constantFrom('a', 'b', 'c').map((cell) => ({ type: 'note', data: { cellId: cell } })),
  fc.constantFrom('a', 'c').map((cell) => cellEvent(STARTED, cell, { formationId: ID })),
  fc.constant(cellEvent(STARTED, 'b', { correlation: { formationId: OTHER } })),
  fc.constantFrom(ID, OTHER).map((formationId) => formationEvent('running', { formationId })),
  fc.constant('no json'),
);

describe('reading the events of a cell or a formation', () => {
  test('IDX-5 IDX-6 finds all of them in order, wherever the index begins and whatever the log has dropped', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.record({
          payloads: fc.array(payload, { maxLength: 80 }),
          floor: fc.nat(90),
          purged: fc.nat(40),
          removed: fc.array(fc.nat(80), { maxLength: 3 }),
          after: fc.nat(60),
          until: fc.nat(90),
          limit: fc.integer({ min: 1, max: 12 }),
        }),
        async ({ payloads, floor, purged, removed, after, until: end, limit }) => {
          const log = new MemoryEventLog();
          for (const each of payloads) log.append(each);
          const source = await sourceOf(log, floor);
          log.purge(purged);
          for (const seq of removed) log.remove(seq);
          const until = Math.min(end, source.state.cursor);
          for (const scope of SCOPES) {
            const due = await model(source, scope, after, until);
            expect(await readAll(new EventReader(source, scope, after, until), limit)).toEqual(due);
          }
        },
      ),
    );
  });

  test('IDX-6 HTTP-81 the last of them, also below the index', async () => {
    const log = new MemoryEventLog();
    const total = 5000;
    for (let n = 1; n <= total; n++)
      log.append({ type: 'note', data: { cellId: n % 100 === 0 ? 'a' : 'x' } });
    for (const floor of [0, 2500, 4999, total]) {
      const source = await sourceOf(log, floor);
      const scope: EventScope = { kind: 'cell', id: 'a' };
      for (const count of [0, 1, 3, 24, 25, 26, 49, 50, 51, Number.MAX_SAFE_INTEGER]) {
        const range = { after: 0, until: total };
        const start = await startOfTail(source, scope, { ...range, count, signal });
        const found = await readAll(new EventReader(source, scope, start, total), 1000);
        const all = await model(source, scope, 0, total);
        expect(found).toEqual(count === 0 ? [] : all.slice(-count));
      }
    }
  });

  test('IDX-6 goes on by reading when the index rises above it', async () => {
    const log = new MemoryEventLog();
    for (let n = 1; n <= 200; n++) log.append({ type: 'note', data: { cellId: 'a' } });
    const source = await sourceOf(log, 0);
    const reader = new EventReader(source, { kind: 'cell', id: 'a' }, 0, 200);
    const first = await reader.next(10, signal());
    for (let seq = 201; seq < 201 + EVENT_INDEX_CHUNK; seq++)
      source.state.index.note(seq, { cell: 'x', formation: null }, source.state.cells);
    source.state.index.forgetBefore(201 + EVENT_INDEX_CHUNK);
    expect(source.state.index.floor).toBeGreaterThan(200);
    const rest = await readAll(reader, 1000);
    expect([...first.map(({ seq }) => seq), ...rest]).toEqual(Array.from({ length: 200 }, (_, at) => at + 1));
  });

  test('IDX-6 SIG-8 below the index no signature of somebody else is verified', async () => {
    const log = new MemoryEventLog();
    const of = { a: await signed(cellEvent(STARTED, 'a')), x: await signed(cellEvent(STARTED, 'x')) };
    for (let n = 1; n <= 100; n++) log.append(n % 20 === 0 ? of.a : of.x);
    const keys = await signaturesOf({ CELLOS_EVENT_VERIFY_KEYS: VERIFY_KEYS });
    let verified = 0;
    class Counting extends EntryReader {
      override read(entry: LogEntry) {
        verified++;
        return super.read(entry);
      }
    }
    const source = { ...(await sourceOf(log, 100)), reader: new Counting(keys) };
    const found = await readAll(new EventReader(source, { kind: 'cell', id: 'a' }, 0, 100), 1000);
    expect([found, verified]).toEqual([[20, 40, 60, 80, 100], 5]);
  });

  test('IDX-6 ends with an error when the view is another one', async () => {
    const log = new MemoryEventLog();
    log.append({ type: 'note', data: { cellId: 'a' } });
    const { state } = await sourceOf(log, 0);
    const source = { log, state, reader: new EntryReader() };
    const reader = new EventReader(source, { kind: 'cell', id: 'a' }, 0, 1);
    source.state = initialState();
    await expect(reader.next(1, signal())).rejects.toMatchObject({ code: 'unavailable' });
  });
});
