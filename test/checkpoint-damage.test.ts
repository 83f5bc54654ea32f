// Whatever a checkpoint has become, a start goes on: with the view that was saved, or with none and a warning.
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { digestOf } from '../src/checkpoint-head.ts';
import { initialState } from '../src/projection.ts';
import { encodeUtf8 } from '../src/utf8.ts';
import {
  applyAll,
  formation,
  type Head,
  MemoryCheckpointStore,
  openCheckpoint,
  reseal,
  restored,
  save,
  shown,
} from './support/memory-checkpoint-store.ts';

const SECRET = 'cellos-secret';

/** A store with two blocks, whose ids are 1 and 2. */
async function filled(): Promise<MemoryCheckpointStore> {
  const store = new MemoryCheckpointStore();
  const { checkpoint } = openCheckpoint(store);
  const view = applyAll(initialState(), [
    formation(SECRET, { document: () => JSON.stringify(SECRET.repeat(500)) }),
  ]);
  await save(checkpoint, view);
  await save(checkpoint, applyAll(view, [formation('b', { reason: SECRET })]));
  expect([...store.blocks.keys()]).toEqual([1, 2]);
  return store;
}

/** The first block's text is another one, and the head says so. */
async function replaceFirst(store: MemoryCheckpointStore, text: string): Promise<void> {
  store.blocks.set(1, text);
  const digest = await digestOf(encodeUtf8(text));
  await reseal(store, (head) => ({ ...head, blocks: [[1, 1, digest], head.blocks[1]] }));
}

const HEAD = 'the head is not what was written';
const FORMAT = 'the head is of another format';
const SHAPE = 'the head is not understood';
const BLOCK = 'a block is not what was written';
const MISSING = 'a block is missing';
const CONTENT = 'it is not understood';

type Damage = (store: MemoryCheckpointStore) => void | Promise<void>;

const headIs =
  (text: string): Damage =>
  (store) => {
    store.head = text;
  };
const headHas =
  (from: string | RegExp, to: string): Damage =>
  (store) => {
    const changed = (store.head as string).replace(from, to);
    expect(changed).not.toBe(store.head);
    store.head = changed;
  };
const headSays =
  (change: (head: Head) => object): Damage =>
  (store) =>
    reseal(store, change);

const damages: readonly [title: string, damage: Damage, reason: string][] = [
  ['an empty head', headIs(''), 'the head is not JSON'],
  ['a head that is no JSON', headIs(`{${SECRET}`), 'the head is not JSON'],
  ['a head that is null', headIs('null'), FORMAT],
  ['a head that is an array', headIs('[]'), FORMAT],
  ['a head of another kind', headIs(`{"version":1,"a":"${SECRET}"}`), FORMAT],
  ['a newer format', headHas('"format":4', '"format":5'), FORMAT],
  ['a newer format, sealed', headSays((head) => ({ ...head, format: 5 })), FORMAT],
  ['a head cut off', (store) => headIs((store.head as string).slice(0, -20))(store), 'the head is not JSON'],
  ['a head without its seal', headHas(/,"sha256":"\w+"/, ''), HEAD],
  ['another cursor', headHas('"cursor":2', '"cursor":3'), HEAD],
  ['another epoch', headHas('"epoch":"epoch"', '"epoch":"Epoch"'), HEAD],
  ['another seal', headHas(/"sha256":"\w+"/, `"sha256":"${'0'.repeat(64)}"`), HEAD],
  ['a member more', headSays((head) => ({ ...head, more: 1 })), SHAPE],
  ['a member less', headSays((head) => ({ ...head, epoch: undefined })), SHAPE],
  ['a negative cursor', headSays((head) => ({ ...head, cursor: -1 })), SHAPE],
  ['a cursor that is a text', headSays((head) => ({ ...head, cursor: '2' })), SHAPE],
  ['a timestamp without its time', headSays((head) => ({ ...head, timestamp: { seq: 1 } })), SHAPE],
  ['blocks that are none', headSays((head) => ({ ...head, blocks: {} })), SHAPE],
  [
    'a block listed twice',
    headSays((head) => ({ ...head, blocks: [head.blocks[0], head.blocks[0]] })),
    MISSING,
  ],
  [
    'another number of records',
    headSays((head) => ({ ...head, blocks: head.blocks.map(([id, , digest]) => [id, 2, digest]) })),
    'a block has another number of records',
  ],
  ['a block that is gone', (store) => void store.blocks.delete(1), MISSING],
  ['all blocks gone', (store) => store.blocks.clear(), MISSING],
  ['a block too many', (store) => void store.blocks.set(3, '[]'), 'a block is not listed'],
  [
    'a block under another id',
    (store) => {
      store.blocks.set(3, store.blocks.get(2) as string);
      store.blocks.delete(2);
    },
    MISSING,
  ],
  [
    'two blocks exchanged',
    (store) => {
      const [first, second] = [...store.blocks.values()];
      store.blocks.set(1, second as string).set(2, first as string);
    },
    BLOCK,
  ],
  ['an empty block', (store) => void store.blocks.set(2, ''), BLOCK],
  ['a sealed block that is no JSON', (store) => replaceFirst(store, SECRET), CONTENT],
  ['a sealed block without records', (store) => replaceFirst(store, '{}'), CONTENT],
  ['a sealed block with a record that is null', (store) => replaceFirst(store, '[null]'), CONTENT],
];

describe('a checkpoint that is not what was written', () => {
  test.each(damages)('CKP-10 %s', async (_, damage, reason) => {
    const store = await filled();
    await damage(store);
    const { checkpoint, warnings } = openCheckpoint(store);
    expect(await checkpoint.restore()).toBeNull();
    expect(warnings).toEqual([{ message: 'checkpoint not used', reason }]);
    // What follows is saved from the beginning, and nothing else is left.
    const view = applyAll(initialState(), [formation('a'), formation('b')]);
    expect(await save(checkpoint, view)).toMatchObject({ records: 2 });
    expect(store.blocks.size).toBe(1);
    expect(shown((await restored(store)) ?? initialState())).toEqual(shown(view));
  });

  test('CKP-10 any one character of a block or of the head', async () => {
    const whole = await filled();
    const texts = [whole.head as string, ...whole.blocks.values()];
    await fc.assert(
      fc.asyncProperty(fc.nat(), fc.nat(), fc.integer({ min: 1, max: 0xffff }), async (which, where, by) => {
        const text = texts[which % texts.length] as string;
        const at = where % text.length;
        const unit = String.fromCharCode(text.charCodeAt(at) ^ by);
        const changed = text.slice(0, at) + unit + text.slice(at + 1);
        const store = new MemoryCheckpointStore();
        const [head, first, second] = texts.map((kept) => (kept === text ? changed : kept));
        store.head = head as string;
        store.blocks.set(1, first as string).set(2, second as string);
        const { checkpoint, warnings } = openCheckpoint(store);
        expect(await checkpoint.restore()).toBeNull();
        expect(warnings).toHaveLength(1);
        expect(JSON.stringify(warnings)).not.toContain(SECRET);
      }),
      { numRuns: 300 },
    );
  });

  test('CKP-10 a store that holds one block twice', async () => {
    const store = await filled();
    const stored = await store.load();
    store.load = async () => stored && { ...stored, blocks: [...stored.blocks, ...stored.blocks.slice(1)] };
    const { checkpoint, warnings } = openCheckpoint(store);
    expect(await checkpoint.restore()).toBeNull();
    expect(warnings).toEqual([{ message: 'checkpoint not used', reason: 'a block is there twice' }]);
  });

  test('CKP-11 a store that cannot be read is written anew', async () => {
    const store = await filled();
    store.faults.load = 'refused';
    const { checkpoint, warnings } = openCheckpoint(store);
    expect(await checkpoint.restore()).toBeNull();
    const reason = 'the store cannot be read: Error: the disk is gone: load';
    expect(warnings).toEqual([{ message: 'checkpoint not used', reason }]);
    delete store.faults.load;
    const view = applyAll(initialState(), [formation('a')]);
    await save(checkpoint, view);
    expect(store.blocks.size).toBe(1);
    expect(shown((await restored(store)) ?? initialState())).toEqual(shown(view));
  });

  test('CKP-11 a store that can do nothing at all, until it can again', async () => {
    const store = await filled();
    Object.assign(store.faults, { load: 'refused', commit: 'refused' });
    const { checkpoint, warnings } = openCheckpoint(store);
    expect(await checkpoint.restore()).toBeNull();
    expect(warnings).toHaveLength(1);
    const view = applyAll(initialState(), [formation('a')]);
    await expect(save(checkpoint, view)).rejects.toThrow('the disk is gone: commit');
    delete store.faults.load;
    delete store.faults.commit;
    expect(await save(checkpoint, view)).toMatchObject({ records: 1 });
    expect(shown((await restored(store)) ?? initialState())).toEqual(shown(view));
  });
});
