// The index of events in a checkpoint: what is saved is what is restored, and old pieces of it go.
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { parseBlock } from '../src/checkpoint-blocks.ts';
import { keysOf } from '../src/event-index.ts';
import { EVENT_INDEX_CHUNK } from '../src/limits.ts';
import { initialState, type ProjectionState } from '../src/projection.ts';
import {
  anchorOf,
  applyAll,
  formation,
  MemoryCheckpointStore,
  openCheckpoint,
  reseal,
  restored,
  save,
} from './support/memory-checkpoint-store.ts';

const EVERYTHING = Number.MAX_SAFE_INTEGER;
const CELLS = 7;

/** Events of cells that take turns, which change no record. */
function note(state: ProjectionState, count: number): void {
  for (let at = 0; at < count; at++) {
    state.cursor++;
    state.index.note(state.cursor, { cell: `cell-${state.cursor % CELLS}`, formation: null }, state.cells);
  }
}

const found = ({ index }: ProjectionState, cell: number) =>
  index.first(keysOf({ kind: 'cell', id: `cell-${cell}` }, initialState()), 0, EVERYTHING, EVERYTHING);

const expected = (from: number, through: number, cell: number) =>
  Array.from({ length: through - from }, (_, at) => from + at + 1).filter((seq) => seq % CELLS === cell);

/** Every chunk in the store counts for something, but for those beside one that does. */
function expectTidy({ blocks }: MemoryCheckpointStore): void {
  const seen: { after: number; through: number }[] = [];
  for (const [block, text] of [...blocks].sort(([a], [b]) => b - a)) {
    const { chunks, formations } = parseBlock(text, block);
    if (chunks.length === 0) continue;
    expect(formations).toEqual([]);
    const isDead = ({ after, through }: { after: number; through: number }) =>
      seen.some((other) => after < other.through && other.after < through);
    expect(chunks.every(isDead)).toBe(false);
    seen.push(...chunks);
  }
}

const steps = fc.array(
  fc.record({
    events: fc.oneof(fc.nat(50), fc.nat(3000), fc.constant(20_000)),
    records: fc.nat(3),
    action: fc.constantFrom('save', 'save', 'save', 'refused', 'unacknowledged', 'restart', 'forget'),
  }),
  { maxLength: 15 },
);

describe('the index of events in a checkpoint', () => {
  test('CKP-50 is as if it had never been interrupted, whatever comes between', async () => {
    await fc.assert(
      fc.asyncProperty(steps, async (plan) => {
        const store = new MemoryCheckpointStore();
        let { checkpoint } = openCheckpoint(store);
        let state = initialState();
        let noted: number[] = [];
        for (const { events, records, action } of plan) {
          noted.push(...Array.from({ length: events }, (_, at) => state.cursor + at + 1));
          note(state, events);
          applyAll(
            state,
            Array.from({ length: records }, (_, at) => formation(`f${at}`)),
          );
          if (action === 'save') {
            await save(checkpoint, state);
            expectTidy(store);
          } else if (action === 'restart') {
            ({ checkpoint } = openCheckpoint(store));
            const { floor } = state.index;
            const through = state.cursor;
            state = (await checkpoint.restore())?.state ?? initialState();
            if (state.cursor === through) expect(state.index.floor).toBe(floor);
          } else if (action === 'forget') {
            state.index.forgetBefore(state.cursor - 2000);
          } else {
            store.faults.commit = action;
            await checkpoint.save(state, anchorOf(state)).catch(() => {});
            delete store.faults.commit;
          }
          noted = noted.filter((seq) => seq <= state.cursor);
          const { floor } = state.index;
          for (const cell of [0, 3]) {
            const due = noted.filter((seq) => seq > floor && seq % CELLS === cell);
            expect(found(state, cell).filter((seq) => seq > floor)).toEqual(due);
          }
        }
        await save(checkpoint, state);
        const again = (await restored(store)) ?? initialState();
        expect(again.index.floor).toBe(state.index.floor);
        for (let cell = 0; cell < CELLS; cell++) expect(found(again, cell)).toEqual(found(state, cell));
      }),
      { numRuns: 40 },
    );
  });

  test('CKP-51 many small saves leave few blocks and few chunks', async () => {
    const store = new MemoryCheckpointStore();
    const { checkpoint } = openCheckpoint(store);
    const state = initialState();
    let mostBlocks = 0;
    for (let saves = 0; saves < 1000; saves++) {
      note(state, 20);
      await save(checkpoint, state);
      mostBlocks = Math.max(mostBlocks, store.blocks.size);
    }
    expect(mostBlocks).toBeLessThan(16);
    expect(state.index.chunks.length).toBeLessThan(16);
    expect(found(state, 3)).toEqual(expected(0, 20_000, 3));
    expect(found((await restored(store)) as ProjectionState, 3)).toEqual(expected(0, 20_000, 3));
    expect(store.length).toBeLessThan(2 * 8 * 20_000);
  });

  test('CKP-52 what the index forgets leaves the store', async () => {
    const store = new MemoryCheckpointStore();
    const { checkpoint } = openCheckpoint(store);
    const state = initialState();
    note(state, 10 * EVENT_INDEX_CHUNK);
    await save(checkpoint, state);
    const before = store.length;
    state.index.forgetBefore(9 * EVENT_INDEX_CHUNK);
    for (let saves = 0; saves < 3; saves++) {
      note(state, 1);
      await save(checkpoint, state);
    }
    expect(store.length).toBeLessThan(before / 3);
    expect((await restored(store))?.index.floor).toBe(state.index.floor);
  });

  test('CKP-53 one of an older format is not used: it knows neither index nor signed events', async () => {
    const store = new MemoryCheckpointStore();
    await save(openCheckpoint(store).checkpoint, applyAll(initialState(), [formation('a')]));
    await reseal(store, (head) => ({ ...head, indexFloor: undefined, verification: undefined, format: 2 }));
    const { checkpoint, warnings } = openCheckpoint(store);
    expect(await checkpoint.restore()).toBeNull();
    expect(warnings).toHaveLength(1);
  });
});
