// When a save takes what, and what becomes of one that fails.
import { describe, expect, test } from 'vitest';

import type { CellFact, Fact, Position } from '../src/model.ts';
import { advance, initialState, type ProjectionState } from '../src/projection.ts';
import {
  anchorOf,
  applyAll,
  formation,
  MemoryCheckpointStore,
  openCheckpoint,
  restored,
  save,
  shown,
} from './support/memory-checkpoint-store.ts';

const COMPLETED: CellFact = {
  kind: 'cell',
  effect: 'completed',
  id: 'a',
  specId: 'spec',
  runId: null,
  formationId: null,
  exitCode: null,
  outcome: null,
  time: null,
};
const NOTHING = { records: 0, blocks: 0, bytes: 0 };

describe('a save', () => {
  const state = () => applyAll(initialState(), [formation('a'), formation('b')]);

  test('CKP-2 takes the view as it is when it is called', async () => {
    const store = new MemoryCheckpointStore();
    const { checkpoint } = openCheckpoint(store);
    await checkpoint.restore();
    const view = state();
    const before = shown(view);
    const saving = save(checkpoint, view);
    applyAll(view, [formation('a', { phase: 'FAILED' }), formation('c')]);
    await saving;
    expect(shown((await restored(store)) as ProjectionState)).toEqual(before);
    await save(checkpoint, view);
    expect(shown((await restored(store)) as ProjectionState)).toEqual(shown(view));
  });

  test('CKP-3 writes what changed, and nothing when nothing did', async () => {
    const store = new MemoryCheckpointStore();
    const { checkpoint } = openCheckpoint(store);
    const view = state();
    applyAll(view, [formation('large', { document: () => 'x'.repeat(10_000) })]);
    expect(await save(checkpoint, view)).toMatchObject({ records: 3, blocks: 1 });
    expect(await save(checkpoint, view)).toEqual(NOTHING);
    expect(store.commits).toHaveLength(1);
    applyAll(view, [formation('a', { phase: 'FAILED' })]);
    const saved = await save(checkpoint, view);
    expect(saved).toMatchObject({ records: 1, blocks: 1 });
    expect(saved.bytes).toBeLessThan(1000);
    const [, second] = store.commits;
    expect(saved.bytes).toBe((second?.head.length ?? 0) + (second?.put[0]?.text.length ?? 0));
  });

  test('CKP-3 writes the head alone when only the cursor moved', async () => {
    const store = new MemoryCheckpointStore();
    const { checkpoint } = openCheckpoint(store);
    const view = state();
    await save(checkpoint, view);
    advance(view, 99);
    expect(await save(checkpoint, view)).toMatchObject({ records: 0, blocks: 0 });
    expect(store.commits.at(-1)).toMatchObject({ put: [], remove: [] });
    expect((await restored(store))?.cursor).toBe(99);
  });

  test('CKP-3 goes on behind what was restored', async () => {
    const store = new MemoryCheckpointStore();
    const view = applyAll(initialState(), [formation('large', { document: () => 'x'.repeat(10_000) })]);
    await save(openCheckpoint(store).checkpoint, view);
    const { checkpoint } = openCheckpoint(store);
    const again = (await checkpoint.restore())?.state as ProjectionState;
    expect(await save(checkpoint, again)).toEqual(NOTHING);
    applyAll(again, [formation('b')]);
    expect(await save(checkpoint, again)).toMatchObject({ records: 1 });
    expect(store.commits.flatMap(({ put }) => put.map(({ id }) => id))).toEqual([1, 2]);
    expect(shown((await restored(store)) as ProjectionState)).toEqual(shown(again));
  });

  test('CKP-3 knows after a restart which records of a block are superseded', async () => {
    const ofLength = (id: string, length: number): readonly Fact[] => [
      formation(id, { document: () => 'x'.repeat(length) }),
      { ...COMPLETED, id, exitCode: '1'.repeat(length) },
    ];
    const store = new MemoryCheckpointStore();
    const view = applyAll(initialState(), [...ofLength('large', 3000), ...ofLength('small', 1)]);
    await save(openCheckpoint(store).checkpoint, view);
    for (const [id, blocks] of Object.entries({ small: [1, 2], large: [3] })) {
      const { checkpoint } = openCheckpoint(store);
      const again = (await checkpoint.restore())?.state as ProjectionState;
      await save(checkpoint, applyAll(again, ofLength(id, 1)));
      expect([...store.blocks.keys()]).toEqual(blocks);
    }
  });

  test('CKP-4 waits for the one under way and writes what is there by then', async () => {
    const store = new MemoryCheckpointStore();
    const { checkpoint } = openCheckpoint(store);
    const { promise, resolve } = Promise.withResolvers<void>();
    store.gate = promise;
    const view = state();
    const saves = [save(checkpoint, view)];
    applyAll(view, [formation('c')]);
    saves.push(save(checkpoint, view));
    applyAll(view, [formation('d')]);
    saves.push(save(checkpoint, view));
    expect(store.commits).toHaveLength(0);
    resolve();
    const [first, second, third] = await Promise.all(saves);
    expect([first?.records, third]).toEqual([2, NOTHING]);
    expect(second?.records).toBeGreaterThanOrEqual(2);
    expect(store.commits).toHaveLength(2);
    expect(shown((await restored(store)) as ProjectionState)).toEqual(shown(view));
  });

  test('CKP-4 is refused with an anchor that is not where the view is', async () => {
    const store = new MemoryCheckpointStore();
    const { checkpoint } = openCheckpoint(store);
    const view = state();
    for (const position of [view.cursor - 1, view.cursor + 1] satisfies Position[]) {
      await expect(checkpoint.save(view, { ...anchorOf(view), position })).rejects.toThrow(RangeError);
    }
    expect(store.head).toBeNull();
  });

  test.each(['refused', 'unacknowledged'] as const)(
    'CKP-5 that fails (%s) is made up for by the next',
    async (fault) => {
      const store = new MemoryCheckpointStore();
      const { checkpoint } = openCheckpoint(store);
      const view = state();
      await save(checkpoint, view);
      for (let at = 0; at < 3; at++) {
        applyAll(view, [formation(`c${at}`), formation('a', { reason: `${at}` })]);
        store.faults.commit = fault;
        await expect(save(checkpoint, view)).rejects.toThrow('the disk is gone: commit');
        await expect(save(checkpoint, view)).rejects.toThrow('the disk is gone: commit');
        delete store.faults.commit;
        if (at === 1) applyAll(view, [formation('d')]);
        expect((await save(checkpoint, view)).bytes).toBeGreaterThan(0);
        expect(shown((await restored(store)) as ProjectionState)).toEqual(shown(view));
      }
    },
  );

  test('CKP-5 that failed may have removed what the next one alone would not rewrite', async () => {
    const store = new MemoryCheckpointStore();
    const { checkpoint } = openCheckpoint(store);
    const ofLength = (id: string, length: number) => formation(id, { document: () => 'x'.repeat(length) });
    const view = applyAll(initialState(), [ofLength('a', 3000)]);
    await save(checkpoint, view);
    store.faults.commit = 'unacknowledged';
    await expect(save(checkpoint, applyAll(view, [ofLength('b', 3000)]))).rejects.toThrow();
    expect([...store.blocks.keys()]).toEqual([2]);
    delete store.faults.commit;
    expect(await save(checkpoint, applyAll(view, [ofLength('b', 1)]))).toMatchObject({ records: 2 });
    expect(shown((await restored(store)) as ProjectionState)).toEqual(shown(view));
  });

  test('CKP-5 after one that failed is not written again in full', async () => {
    const store = new MemoryCheckpointStore();
    const { checkpoint } = openCheckpoint(store);
    const view = applyAll(initialState(), [formation('large', { document: () => 'x'.repeat(10_000) })]);
    await save(checkpoint, view);
    applyAll(view, [formation('b')]);
    store.faults.commit = 'refused';
    await expect(save(checkpoint, view)).rejects.toThrow();
    delete store.faults.commit;
    expect(await save(checkpoint, view)).toMatchObject({ records: 1 });
  });
});

describe('a reset', () => {
  test('CKP-6 waits for the save under way; the next starts from nothing', async () => {
    const store = new MemoryCheckpointStore();
    const { checkpoint } = openCheckpoint(store);
    const { promise, resolve } = Promise.withResolvers<void>();
    store.gate = promise;
    const saving = save(checkpoint, applyAll(initialState(), [formation('a'), formation('b')]));
    const resetting = checkpoint.reset();
    const view = applyAll(initialState(), [formation('c')]);
    const next = checkpoint.save(view, { position: 1, epoch: 'other', timestamp: null });
    resolve();
    await Promise.all([saving, resetting]);
    expect(await next).toMatchObject({ records: 1 });
    const result = await openCheckpoint(store).checkpoint.restore();
    expect(result?.anchor.epoch).toBe('other');
    expect(result && shown(result.state)).toEqual(shown(view));
  });

  test('CKP-6 the next save leaves nothing of what was saved before', async () => {
    const store = new MemoryCheckpointStore();
    const { checkpoint } = openCheckpoint(store);
    await save(checkpoint, applyAll(initialState(), [formation('a')]));
    await checkpoint.reset();
    await save(checkpoint, initialState());
    expect([store.blocks.size, (await restored(store))?.formations.size]).toEqual([0, 0]);
  });

  test('CKP-6 that the next save fails to write is made up for by the one after it', async () => {
    const store = new MemoryCheckpointStore();
    const { checkpoint } = openCheckpoint(store);
    await save(checkpoint, applyAll(initialState(), [formation('a')]));
    await checkpoint.reset();
    const view = applyAll(initialState(), [formation('b')]);
    for (const fault of ['refused', 'unacknowledged'] as const) {
      store.faults.commit = fault;
      await expect(save(checkpoint, view)).rejects.toThrow('the disk is gone: commit');
    }
    delete store.faults.commit;
    expect(await save(checkpoint, view)).toMatchObject({ records: 1 });
    expect(store.blocks.size).toBe(1);
    expect(shown((await restored(store)) as ProjectionState)).toEqual(shown(view));
  });
});
