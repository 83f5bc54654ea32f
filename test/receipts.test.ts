// Which requests are known to have made which events.
import { describe, expect, test } from 'vitest';

import type { Fact } from '../src/model.ts';
import { initialState, type ProjectionState, retain } from '../src/projection.ts';
import {
  applyAll,
  formation,
  MemoryCheckpointStore,
  openCheckpoint,
  restored,
  save,
} from './support/memory-checkpoint-store.ts';

const marked = (id: string, key: string, request = key): Fact => formation(id, { mark: { key, request } });
const known = (state: ProjectionState) =>
  [...state.receipts].map(
    ([
      key,
      {
        formation: { id },
        receipt,
      },
    ]) => [key, id, receipt.seq],
  );

describe('receipts', () => {
  test('OUT-15 tell formation and sequence; the first event of a key counts', () => {
    const state = applyAll(initialState(), [
      marked('a', '1'),
      formation('a'),
      marked('a', '2'),
      marked('b', '2', 'other'),
      marked('b', '3'),
    ]);
    expect(known(state)).toEqual([
      ['1', 'a', 1],
      ['2', 'a', 3],
      ['3', 'b', 5],
    ]);
    expect(state.receipts.get('2')?.receipt.request).toBe('2');
  });

  test('OUT-15 are forgotten when the log does not hold their events any more', () => {
    const state = applyAll(initialState(), [marked('a', '1'), marked('a', '2'), marked('b', '3')]);
    retain(state, 3);
    expect(known(state)).toEqual([['3', 'b', 3]]);
    expect(state.formations.get('a')?.receipts).toBeNull();
    // The key is free again.
    applyAll(state, [marked('a', '1')]);
    expect(known(state)).toEqual([
      ['3', 'b', 3],
      ['1', 'a', 4],
    ]);
    retain(state, 100);
    expect([known(state), state.formations.size]).toEqual([[], 2]);
  });

  test('OUT-15 outlive a restart with their formation', async () => {
    const store = new MemoryCheckpointStore();
    const { checkpoint } = openCheckpoint(store);
    const state = applyAll(initialState(), [marked('a', '1'), formation('b'), marked('a', '2')]);
    await save(checkpoint, state);
    const again = (await restored(store)) as ProjectionState;
    expect(known(again)).toEqual(known(state));
    expect(again.receipts.get('2')?.receipt).toEqual({ key: '2', request: '2', seq: 3 });
    retain(again, 2);
    expect(known(again)).toEqual([['2', 'a', 3]]);
  });

  test('OUT-15 many of one formation cost no more than of many', () => {
    const time = (id: (at: number) => string) => {
      const start = performance.now();
      applyAll(
        initialState(),
        Array.from({ length: 50_000 }, (_, at) => marked(id(at), `${at}`)),
      );
      return performance.now() - start;
    };
    time((at) => `f${at}`);
    const [many, one] = [time((at) => `f${at}`), time(() => 'f')];
    expect(one).toBeLessThan(5 * many + 50);
  });
});
