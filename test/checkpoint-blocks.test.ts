// How many blocks there are, how large they get, and what is written to keep it so.
import { describe, expect, test } from 'vitest';

import { blocksToAbsorb, type KeptBlock, packPieces, type Piece } from '../src/checkpoint-blocks.ts';
import { CHECKPOINT_BLOCK_LENGTH, CHECKPOINT_COMPACTIONS } from '../src/limits.ts';
import { initialState, type ProjectionState } from '../src/projection.ts';
import {
  applyAll,
  formation,
  MemoryCheckpointStore,
  openCheckpoint,
  restored,
  save,
  shown,
} from './support/memory-checkpoint-store.ts';

/** The same numbers in every run. */
function seeded(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

/** What happened over many saves. */
interface Course {
  readonly mostBlocks: number;
  /** The largest quotient of what was stored and what a store with nothing superfluous would hold. */
  readonly mostWaste: number;
  /** All that was put, by the text of the records that had changed. */
  readonly amplification: number;
  readonly mostPut: number;
}

/** Saves after every change of `next` records of `length` each. */
async function run(saves: number, length: number, next: (at: number) => readonly number[]): Promise<Course> {
  const store = new MemoryCheckpointStore();
  const { checkpoint } = openCheckpoint(store);
  const state = initialState();
  const document = 'x'.repeat(length);
  let [mostBlocks, mostWaste, mostPut, changed, put] = [0, 0, 0, 0, 0];
  for (let at = 0; at < saves; at++) {
    const ids = new Set(next(at));
    for (const id of ids) applyAll(state, [formation(`f${id}`, { document: () => document })]);
    await save(checkpoint, state);
    changed += ids.size * length;
    const written = (store.commits.pop()?.put ?? []).reduce((sum, { text }) => sum + text.length, 0);
    put += written;
    mostPut = Math.max(mostPut, written);
    mostBlocks = Math.max(mostBlocks, store.blocks.size);
    const least = state.formations.size * length;
    if (least > 100 * length) mostWaste = Math.max(mostWaste, store.length / least);
  }
  expect(shown((await restored(store)) as ProjectionState)).toEqual(shown(state));
  return { mostBlocks, mostWaste, amplification: put / changed, mostPut };
}

describe('thousands of small saves', () => {
  test('CKP-7 of new records: few blocks, each record rewritten a logarithmic number of times', async () => {
    const saves = 4000;
    const course = await run(saves, 200, (at) => [at]);
    expect(course.mostBlocks).toBeLessThanOrEqual(Math.log2(saves) + 1);
    expect(course.mostWaste).toBeLessThan(2);
    expect(course.amplification).toBeLessThan(1.5 * Math.log2(saves));
  });

  test('CKP-7 of the same records again and again: what is superseded goes', async () => {
    const random = seeded(1);
    const records = 500;
    const course = await run(4000, 200, () => Array.from({ length: 1 + random(5) }, () => random(records)));
    expect(course.mostBlocks).toBeLessThanOrEqual(2 * Math.log2(records));
    expect(course.mostWaste).toBeLessThan(3);
    expect(course.amplification).toBeLessThan(1.5 * Math.log2(records));
  });

  test('CKP-7 of batches of any size: full blocks are left alone', async () => {
    const random = seeded(2);
    const course = await run(1500, 20_000, (at) =>
      Array.from({ length: 2 ** random(5) }, () => random(1 + Math.min(at, 800))),
    );
    const full = (800 * 20_000) / CHECKPOINT_BLOCK_LENGTH;
    expect(course.mostBlocks).toBeLessThanOrEqual(2 * full + 20);
    expect(course.mostWaste).toBeLessThan(3);
    expect(course.amplification).toBeLessThan(8);
    // The batch, the small blocks, and those that are compacted.
    expect(course.mostPut).toBeLessThan((2 + CHECKPOINT_COMPACTIONS) * CHECKPOINT_BLOCK_LENGTH);
  });

  test('CKP-7 of ever smaller batches', async () => {
    const sizes = Array.from({ length: 120 }, (_, at) => 120 - at);
    let first = 0;
    const course = await run(sizes.length, 200, (at) => {
      first += sizes[at] as number;
      return Array.from({ length: sizes[at] as number }, (_, more) => first + more);
    });
    expect(course.mostBlocks).toBeLessThanOrEqual(14);
  });
});

describe('blocks', () => {
  const piece = (length: number): Piece => ({ record: null as never, text: 'x'.repeat(length) });
  const lengths = (packs: readonly (readonly Piece[])[]) =>
    packs.map((pack) => pack.reduce((sum, { text }) => sum + text.length, 0));

  test('CKP-8 are as few as can be and about equally full', () => {
    expect(packPieces([])).toEqual([]);
    expect(packPieces([piece(3), piece(4)])).toHaveLength(1);
    const packs = packPieces(Array.from({ length: 1050 }, () => piece(1024)));
    expect(packs.flat()).toHaveLength(1050);
    expect(lengths(packs)).toEqual([525 * 1024, 525 * 1024]);
  });

  test('CKP-8 are at most 1 MiB, a larger record has one of its own', () => {
    const large = CHECKPOINT_BLOCK_LENGTH + 1;
    const sizes = [10, large, 10, 10, large, large, CHECKPOINT_BLOCK_LENGTH, 10];
    const packs = packPieces(sizes.map(piece));
    expect(packs.flat().map(({ text }) => text.length)).toEqual(sizes);
    for (const pack of packs) {
      const [whole] = lengths([pack]);
      expect(pack.length === 1 || (whole as number) <= CHECKPOINT_BLOCK_LENGTH).toBe(true);
    }
  });

  const kept = (
    id: number,
    length: number,
    records: number,
    live: number,
    isDoubtful = false,
  ): KeptBlock => ({
    id,
    digest: '',
    length,
    records,
    live,
    isDoubtful,
  });
  const NONE = new Map<number, number>();

  test('CKP-7 that are small go with a batch as large, and with these larger ones', () => {
    const blocks = [kept(1, 4000, 4, 4), kept(2, 2000, 2, 2), kept(3, 1000, 1, 1), kept(4, 19_000, 9, 9)];
    expect([...blocksToAbsorb(blocks, NONE, 500)]).toEqual([3, 2, 1]);
    expect([...blocksToAbsorb(blocks, NONE, 499)]).toEqual([]);
    expect([...blocksToAbsorb(blocks, new Map([[1, 3]]), 500)]).toEqual([1, 3, 2]);
  });

  test('CKP-7 that are full and alive stay, half dead ones go a few at a time', () => {
    const full = CHECKPOINT_BLOCK_LENGTH;
    const healthy = [kept(1, full, 10, 10), kept(2, full, 10, 5)];
    expect([...blocksToAbsorb(healthy, NONE, 10 * full)]).toEqual([]);
    const dead = Array.from({ length: 9 }, (_, at) => kept(3 + at, full, 20, 1 + at));
    expect([...blocksToAbsorb([...healthy, ...dead], NONE, 10)]).toEqual([3, 4]);
    // The fractions of a full block that are alive in them are 1/20, 2/20, 3/20 and so on.
    expect([...blocksToAbsorb(dead, NONE, full / 2)]).toEqual([3, 4, 5, 6]);
  });

  test('CKP-5 that a failed commit may have removed go at once', () => {
    expect([...blocksToAbsorb([kept(1, 1e6, 10, 10, true), kept(2, 1e6, 1, 1)], NONE, 1)]).toEqual([1]);
  });
});
