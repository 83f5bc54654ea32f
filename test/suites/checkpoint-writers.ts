// What a CheckpointStore promises that several servers may write: at any time what is there is the work of one of them, whole.
import { afterEach, beforeEach, describe, expect, test } from 'vitest';

import { SharedCheckpointStore } from '../../src/checkpoint-shared.ts';
import { CHECKPOINT_STRAY_MS } from '../../src/limits.ts';
import type { CheckpointBlock, CheckpointObjects, StoredCheckpoint } from '../../src/ports.ts';
import { methodsOf } from '../support/checkpoint-objects.ts';

/** A place for objects that is empty at first. */
export interface CheckpointObjectsHarness {
  /** Another server's access to it. */
  readonly open: () => CheckpointObjects;
  /** All that is kept there is as old as that from now on. */
  readonly age: (ms: number) => Promise<void>;
  /** An operator removes all of it. */
  readonly wipe: () => Promise<void>;
  readonly dispose: () => Promise<void>;
}

const A: CheckpointBlock = { id: 1, text: '["a"]' };
const B: CheckpointBlock = { id: 2, text: '["b"]' };
const C: CheckpointBlock = { id: 2, text: '["c"]' };

export function checkpointWritersSuite(name: string, start: () => Promise<CheckpointObjectsHarness>): void {
  describe(`checkpoint of several writers ${name}`, () => {
    let harness: CheckpointObjectsHarness;
    let one: SharedCheckpointStore;
    let other: SharedCheckpointStore;
    const held = (): Promise<StoredCheckpoint | null> => new SharedCheckpointStore(harness.open()).load();
    const names = () => harness.open().listOlderThan(-60_000);

    beforeEach(async () => {
      harness = await start();
      one = new SharedCheckpointStore(harness.open());
      other = new SharedCheckpointStore(harness.open());
      expect([await one.load(), await other.load()]).toEqual([null, null]);
    });
    afterEach(() => harness.dispose());

    test('CKP-25 the first to commit is the writer, the other one finds its head and commits nothing', async () => {
      await one.commit({ head: 'one', put: [A], remove: [] });
      expect([await one.rivalHead(), await other.rivalHead()]).toEqual([null, 'one']);
      await expect(other.commit({ head: 'other', put: [B], remove: [] })).rejects.toThrow('another server');
      expect(await held()).toEqual({ head: 'one', blocks: [A] });
      // What the other one had written already is gone again.
      expect(await names()).toHaveLength(1);
      await one.commit({ head: 'two', put: [B], remove: [A.id] });
      expect(await other.rivalHead()).toBe('two');
      expect(await held()).toEqual({ head: 'two', blocks: [B] });
      expect(await names()).toHaveLength(1);
    });

    test('CKP-25 who loads what another has written goes on with it, and that one finds a rival', async () => {
      await one.commit({ head: 'one', put: [A], remove: [] });
      expect(await other.load()).toEqual({ head: 'one', blocks: [A] });
      expect(await other.rivalHead()).toBeNull();
      await other.commit({ head: 'two', put: [B], remove: [] });
      expect(await held()).toMatchObject({ head: 'two', blocks: expect.arrayContaining([A, B]) as unknown });
      expect(await one.rivalHead()).toBe('two');
      await expect(one.commit({ head: 'three', put: [C], remove: [A.id] })).rejects.toThrow();
      expect(await held()).toMatchObject({ head: 'two', blocks: { length: 2 } });
    });

    test('CKP-25 of commits at the same moment one is made', async () => {
      const stores = Array.from({ length: 6 }, () => new SharedCheckpointStore(harness.open()));
      await Promise.all(stores.map((store) => store.load()));
      for (let round = 0; round < 5; round++) {
        const made = await Promise.allSettled(
          stores.map((store, at) =>
            store.commit({ head: `${round} ${at}`, put: [{ id: 1, text: `[${at}]` }], remove: 'others' }),
          ),
        );
        const winners = made.flatMap(({ status }, at) => (status === 'fulfilled' ? [at] : []));
        expect(winners).toHaveLength(1);
        const [winner] = winners;
        expect(await held()).toEqual({
          head: `${round} ${winner}`,
          blocks: [{ id: 1, text: `[${winner}]` }],
        });
        expect(await names()).toHaveLength(1);
        for (const store of stores) await store.rivalHead();
      }
    });

    test('CKP-26 who has seen the head of another replaces all of it', async () => {
      await one.commit({ head: 'one', put: [A, B], remove: [] });
      await expect(other.commit({ head: 'other', put: [C], remove: 'others' })).rejects.toThrow();
      expect(await other.rivalHead()).toBe('one');
      await other.commit({ head: 'other', put: [C], remove: 'others' });
      expect(await held()).toEqual({ head: 'other', blocks: [C] });
      expect(await names()).toHaveLength(1);
      expect([await one.rivalHead(), await other.rivalHead()]).toEqual(['other', null]);
      await other.commit({ head: 'again', put: [A], remove: [] });
      // What was seen before does not count any more.
      await expect(one.commit({ head: 'one', put: [], remove: 'others' })).rejects.toThrow();
      expect(await one.rivalHead()).toBe('again');
    });

    test('CKP-26 a head that cannot be read is a rival too', async () => {
      const objects = harness.open();
      await objects.writeHead(new TextEncoder().encode('{"format":99}'), 0);
      expect(await one.rivalHead()).toBe('?');
      await expect(other.load()).rejects.toThrow();
      // Whoever has tried to load it may replace it at once.
      expect(await other.rivalHead()).toBeNull();
      await other.commit({ head: 'other', put: [A], remove: 'others' });
      expect(await held()).toEqual({ head: 'other', blocks: [A] });
    });

    test('CKP-26 what is deleted under a writer is written anew', async () => {
      await one.commit({ head: 'one', put: [A], remove: [] });
      await harness.wipe();
      expect(await one.rivalHead()).toBe('');
      const commit = () => one.commit({ head: 'two', put: [B], remove: 'others' });
      // The first attempt may be the one that finds out.
      await commit().catch(commit);
      expect(await held()).toEqual({ head: 'two', blocks: [B] });
    });

    test('CKP-27 a commit whose acknowledgement is lost is known for its own', async () => {
      const objects = harness.open();
      let isLost = true;
      const lossy = new SharedCheckpointStore({
        ...methodsOf(objects),
        async writeHead(bytes, after) {
          const revision = await objects.writeHead(bytes, after);
          if (isLost) throw new Error('no answer');
          return revision;
        },
      });
      expect(await lossy.load()).toBeNull();
      await expect(lossy.commit({ head: 'one', put: [A], remove: [] })).rejects.toThrow('no answer');
      isLost = false;
      expect(await lossy.rivalHead()).toBeNull();
      await lossy.commit({ head: 'two', put: [{ id: 5, text: '[5]' }], remove: [A.id] });
      expect(await held()).toEqual({ head: 'two', blocks: [{ id: 5, text: '[5]' }] });
      expect(await names()).toHaveLength(1);
    });

    test('CKP-27 what a commit leaves behind that was never made is removed when it is old', async () => {
      const objects = harness.open();
      await one.commit({ head: 'one', put: [A], remove: [] });
      await objects.write('somebody.1', new Uint8Array(300_000));
      await harness.age(CHECKPOINT_STRAY_MS + 60_000);
      await objects.write('somebody.2', new Uint8Array(3));
      expect(await other.load()).toMatchObject({ head: 'one' });
      await other.commit({ head: 'two', put: [B], remove: [] });
      const left = await names();
      expect(left).toHaveLength(3);
      expect(left).toContain('somebody.2');
      expect(await held()).toMatchObject({ head: 'two', blocks: { length: 2 } });
    });

    test('CKP-28 loading while it is replaced again and again gives one or the other, whole', async () => {
      const writing = { isDone: false };
      const loading = (async () => {
        const seen = new Set<string>();
        while (!writing.isDone) {
          const stored = await held();
          if (stored === null) continue;
          const texts = stored.blocks.map(({ text }) => text);
          expect(texts.sort()).toEqual([`[${stored.head}]`, `[${stored.head},0]`].sort());
          seen.add(stored.head);
        }
        return seen.size;
      })();
      for (let at = 1; at <= 40; at++) {
        const put = [
          { id: 2 * at, text: `[${at}]` },
          { id: 2 * at + 1, text: `[${at},0]` },
        ];
        await one.commit({ head: `${at}`, put, remove: 'others' });
      }
      writing.isDone = true;
      expect(await loading).toBeGreaterThan(1);
    });
  });
}
