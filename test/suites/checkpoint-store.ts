// What every CheckpointStore promises, whatever it stands on.
import { afterEach, beforeEach, describe, expect, test } from 'vitest';

import type { CheckpointBlock, CheckpointStore, StoredCheckpoint } from '../../src/ports.ts';

/** A store that is empty at first. */
export interface CheckpointStoreHarness {
  readonly store: CheckpointStore;
  /** Another store on the same data, as after a restart. */
  readonly reopen: () => Promise<CheckpointStore>;
  /** Makes the next commit fail after a part of it. */
  readonly breakNextCommit: () => Promise<void>;
  /** Makes the data something that the store cannot have written. */
  readonly damage: () => Promise<void>;
  readonly dispose: () => Promise<void>;
}

const A: CheckpointBlock = { id: 1, text: '["a"]' };
const B: CheckpointBlock = { id: 2, text: '["b"]' };
const C: CheckpointBlock = { id: 7, text: '["c"]' };

function inOrder(stored: StoredCheckpoint | null): StoredCheckpoint | null {
  return stored && { ...stored, blocks: [...stored.blocks].sort((a, b) => a.id - b.id) };
}

export function checkpointStoreSuite(name: string, start: () => Promise<CheckpointStoreHarness>): void {
  describe(`checkpoint store ${name}`, () => {
    let harness: CheckpointStoreHarness;
    let store: CheckpointStore;

    beforeEach(async () => {
      harness = await start();
      ({ store } = harness);
    });
    afterEach(() => harness.dispose());

    /** What this store and one that is opened on the same data both hold. */
    async function held(): Promise<StoredCheckpoint | null> {
      const here = inOrder(await store.load());
      expect(inOrder(await (await harness.reopen()).load())).toEqual(here);
      return here;
    }

    test('CKP-20 nothing at first', async () => {
      expect(await held()).toBeNull();
    });

    test('CKP-21 what was committed, also after a restart', async () => {
      await store.commit({ head: 'one', put: [A, B], remove: [] });
      expect(await held()).toEqual({ head: 'one', blocks: [A, B] });
      await store.commit({ head: 'two', put: [C], remove: [A.id] });
      expect(await held()).toEqual({ head: 'two', blocks: [B, C] });
      store = await harness.reopen();
      await store.commit({ head: 'three', put: [], remove: [C.id] });
      expect(await held()).toEqual({ head: 'three', blocks: [B] });
    });

    test('CKP-21 a head without blocks, and blocks that are all removed', async () => {
      await store.commit({ head: 'one', put: [], remove: [] });
      expect(await held()).toEqual({ head: 'one', blocks: [] });
      await store.commit({ head: 'two', put: [A], remove: [] });
      await store.commit({ head: 'three', put: [], remove: [A.id] });
      expect(await held()).toEqual({ head: 'three', blocks: [] });
    });

    test('CKP-21 an unknown block may be removed', async () => {
      await store.commit({ head: 'one', put: [A], remove: [B.id, 4_000_000] });
      expect(await held()).toEqual({ head: 'one', blocks: [A] });
    });

    test('CKP-22 texts come back as they were, however long', async () => {
      const texts = [
        '',
        '"\\ud800"',
        '\u2028\u2029\ufeff\uffff"\'`%?;--',
        // Pairs at even and at odd places: wherever a long text is cut, one of these is cut there.
        '😀'.repeat(700_000),
        `a${'😀'.repeat(700_000)}`,
        'x'.repeat(5_000_000),
        'x'.repeat(512 * 1024),
        'ä'.repeat(1024 * 1024),
      ];
      const put = texts.map((text, at) => ({ id: at + 1, text }));
      await store.commit({ head: 'h'.repeat(100_000), put, remove: [] });
      const stored = await held();
      expect(stored?.head).toBe('h'.repeat(100_000));
      // Not toEqual: a difference would be printed for minutes.
      expect(stored?.blocks.map(({ text }, at) => text === texts[at])).toEqual(texts.map(() => true));
      await store.commit({ head: 'h', put: [], remove: put.map(({ id }) => id) });
      expect(await held()).toEqual({ head: 'h', blocks: [] });
    });

    test('CKP-22 many blocks', async () => {
      const put = Array.from({ length: 1000 }, (_, at) => ({ id: at + 1, text: `[${at}]` }));
      await store.commit({ head: 'h', put, remove: [] });
      const remove = put.filter(({ id }) => id % 3 !== 0).map(({ id }) => id);
      await store.commit({ head: 'i', put: [], remove });
      expect(await held()).toEqual({ head: 'i', blocks: put.filter(({ id }) => id % 3 === 0) });
    });

    test('CKP-23 a commit that fails changes nothing, the next one works', async () => {
      await store.commit({ head: 'one', put: [A, B], remove: [] });
      await harness.breakNextCommit();
      await expect(store.commit({ head: 'two', put: [C], remove: [A.id] })).rejects.toThrow();
      expect(await held()).toEqual({ head: 'one', blocks: [A, B] });
      await store.commit({ head: 'two', put: [C], remove: [A.id] });
      expect(await held()).toEqual({ head: 'two', blocks: [B, C] });
    });

    test('CKP-24 a commit that removes the others leaves nothing of what was there', async () => {
      await store.commit({ head: 'one', put: [A, B], remove: 'others' });
      expect(await held()).toEqual({ head: 'one', blocks: [A, B] });
      await store.commit({ head: 'two', put: [C], remove: 'others' });
      expect(await held()).toEqual({ head: 'two', blocks: [C] });
      await store.commit({ head: 'three', put: [], remove: 'others' });
      expect(await held()).toEqual({ head: 'three', blocks: [] });
      await store.commit({ head: 'four', put: [{ id: 8, text: '' }], remove: [] });
      expect(await held()).toEqual({ head: 'four', blocks: [{ id: 8, text: '' }] });
    });

    test('CKP-24 one that fails changes nothing', async () => {
      await store.commit({ head: 'one', put: [A, B], remove: [] });
      await harness.breakNextCommit();
      await expect(store.commit({ head: 'two', put: [C], remove: 'others' })).rejects.toThrow();
      expect(await held()).toEqual({ head: 'one', blocks: [A, B] });
    });

    test('CKP-24 it mends what cannot be loaded', async () => {
      await store.commit({ head: 'one', put: [A, B], remove: [] });
      await harness.damage();
      store = await harness.reopen();
      await expect(store.load()).rejects.toThrow();
      await store.commit({ head: 'two', put: [C], remove: 'others' });
      expect(await held()).toEqual({ head: 'two', blocks: [C] });
    });
  });
}
