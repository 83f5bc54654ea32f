// The index of events against a model that remembers everything.
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { CHUNK_SPAN, OCCURRENCE_BYTES } from '../src/event-index-chunk.ts';
import { EventIndex, keysOf } from '../src/event-index.ts';
import { EVENT_INDEX_BYTES, EVENT_INDEX_CHUNK } from '../src/limits.ts';
import type { Cell, EventScope, EventTopic } from '../src/model.ts';
import { anyString } from './support/arbitraries.ts';

const ids = fc.oneof(fc.constantFrom('a', 'b', 'c', '', '__proto__', '\ud800'), anyString);

interface Noted {
  readonly seq: number;
  readonly topic: EventTopic;
}

const EVERYTHING = Number.MAX_SAFE_INTEGER;

/** Which formation a cell belongs to; those whose names are alike belong to one. */
const formationOf = (cell: string) => `formation-${cell.length % 3}`;

/** What the view knows of cells: each formation's, as far as they were seen. */
class Members {
  readonly cells = new Map<string, Cell>();
  readonly cellsByFormation = new Map<string, Set<Cell>>();

  /** The cell says which formation it belongs to. */
  tell(id: string): void {
    if (this.cells.has(id)) return;
    const formationId = formationOf(id);
    const cell = { id, formationId } as Cell;
    this.cells.set(id, cell);
    const siblings = this.cellsByFormation.get(formationId) ?? new Set();
    this.cellsByFormation.set(formationId, siblings.add(cell));
  }
}

/** The sequences that a scope has, by what was noted. */
function model(noted: readonly Noted[], { kind, id }: EventScope, members: Members): number[] {
  return noted
    .filter(({ topic: { cell, formation } }) => {
      if (kind === 'cell') return cell === id;
      return formation === id || (cell !== null && members.cells.get(cell)?.formationId === id);
    })
    .map(({ seq }) => seq);
}

const topic = fc.oneof(
  ids.map((cell): EventTopic => ({ cell, formation: null })),
  ids.map((cell): EventTopic => ({ cell, formation: formationOf(cell) })),
  fc
    .constantFrom('formation-0', 'formation-1', 'x')
    .map((formation): EventTopic => ({ cell: null, formation })),
  fc.constant<EventTopic>({ cell: null, formation: null }),
);

const step = fc.record({
  topic,
  /** Where the cell tells its formation, if it has not yet. */
  tells: fc.boolean(),
  gap: fc.oneof({ weight: 9, arbitrary: fc.integer({ min: 1, max: 3 }) }, fc.constant(CHUNK_SPAN)),
  action: fc.constantFrom('seal', 'join', 'nothing', 'nothing', 'nothing'),
});

describe('the index of events', () => {
  test('IDX-1 IDX-2 finds what a naive model finds, however it was cut into chunks', () => {
    fc.assert(
      fc.property(
        fc.array(step, { maxLength: 60 }),
        fc.record({ after: fc.nat(200), until: fc.nat(300), limit: fc.nat(20) }),
        (steps, { after, until, limit }) => {
          const index = new EventIndex();
          const members = new Members();
          const noted: Noted[] = [];
          let seq = 0;
          for (const { topic: of, tells, gap, action } of steps) {
            seq += gap;
            if (of.cell !== null && (tells || of.formation !== null)) members.tell(of.cell);
            index.note(seq, of, members.cells);
            noted.push({ seq, topic: of });
            if (action !== 'nothing') index.seal();
            if (action === 'join') index.join(new Set(index.chunks));
          }
          const scopes: EventScope[] = [
            ...['a', 'b', '', '\ud800', 'never'].map((id) => ({ kind: 'cell' as const, id })),
            ...['formation-0', 'formation-1', 'formation-2', 'x'].map((id) => ({
              kind: 'formation' as const,
              id,
            })),
          ];
          for (const scope of scopes) {
            const all = model(noted, scope, members);
            const within = all.filter((each) => each > after && each <= until);
            const keys = keysOf(scope, members);
            expect(index.first(keys, 0, EVERYTHING, EVERYTHING)).toEqual(all);
            expect(index.first(keys, after, until, limit)).toEqual(within.slice(0, limit));
            expect(index.last(keys, after, until, limit)).toEqual(limit === 0 ? [] : within.slice(-limit));
          }
          for (const at of noted.flatMap((each) => [each.seq - 1, each.seq, each.seq + 1])) {
            const there = noted.find((each) => each.seq === at)?.topic.cell;
            const has = ['a', '', 'never'].filter((cell) => index.has(at, { cell, formation: null }));
            expect(has).toEqual(['a', ''].filter((cell) => cell === there));
          }
          expect(index.floor).toBe(0);
        },
      ),
    );
  });

  const busy = (index: EventIndex, from: number, through: number, cells: number) => {
    for (let seq = from; seq <= through; seq++) {
      index.note(seq, { cell: `cell-${seq % cells}`, formation: null }, new Map());
    }
  };

  test('IDX-3 is complete behind its floor, which rises when it is full', () => {
    const maxBytes = 4 * EVENT_INDEX_CHUNK * OCCURRENCE_BYTES;
    const index = new EventIndex(0, maxBytes);
    busy(index, 1, 200_000, 100);
    expect(index.bytes).toBeLessThanOrEqual(maxBytes + EVENT_INDEX_CHUNK * OCCURRENCE_BYTES);
    const { floor } = index;
    expect(floor).toBeGreaterThan(100_000);
    expect(floor).toBeLessThan(200_000 - 3 * EVENT_INDEX_CHUNK);
    const keys = keysOf({ kind: 'cell', id: 'cell-7' }, new Members());
    const expected = Array.from({ length: 2000 }, (_, at) => 100 * at + 7).filter((seq) => seq > floor);
    expect(index.first(keys, floor, EVERYTHING, EVERYTHING)).toEqual(expected);
    index.forgetBefore(floor + 30_000);
    expect(index.floor).toBeGreaterThan(floor);
    expect(index.floor).toBeLessThanOrEqual(floor + 30_000);
    index.forgetBefore(1_000_000);
    expect(index.first(keys, 0, EVERYTHING, EVERYTHING).every((seq) => seq > index.floor)).toBe(true);
  });

  test('IDX-3 whether an event was noted is told at once, however many there are of its cell', () => {
    const index = new EventIndex();
    const one: EventTopic = { cell: 'one', formation: null };
    for (let seq = 2; seq <= 2 * EVENT_INDEX_CHUNK; seq += 2) index.note(seq, one, new Map());
    const started = performance.now();
    for (let seq = 1; seq <= 2 * EVENT_INDEX_CHUNK + 1; seq++) {
      expect(index.has(seq, one)).toBe(seq % 2 === 0 && seq <= 2 * EVENT_INDEX_CHUNK);
    }
    // Looking at all of a chunk each time took half a millisecond.
    expect(performance.now() - started).toBeLessThan(4000);
  });

  test('IDX-3 many keys at once are found as few are', () => {
    const index = new EventIndex();
    busy(index, 1, 50_000, 5000);
    const members = new Members();
    const wanted = new Set(Array.from({ length: 2000 }, (_, at) => ({ id: `cell-${at}` }) as Cell));
    members.cellsByFormation.set('f', wanted);
    const keys = keysOf({ kind: 'formation', id: 'f' }, members);
    const expected = Array.from({ length: 50_000 }, (_, at) => at + 1).filter((seq) => seq % 5000 < 2000);
    expect(index.first(keys, 0, EVERYTHING, EVERYTHING)).toEqual(expected);
    expect(index.last(keys, 0, EVERYTHING, 3)).toEqual(expected.slice(-3));
  });

  test('IDX-3 two million events take no more than the bound', () => {
    const index = new EventIndex();
    busy(index, 1, 2_000_000, 1000);
    expect(index.bytes).toBeLessThanOrEqual(EVENT_INDEX_BYTES + EVENT_INDEX_CHUNK * OCCURRENCE_BYTES);
    expect(index.floor).toBeGreaterThan(500_000);
    expect(index.floor).toBeLessThan(700_000);
  });
});
