import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { FrameRing } from '../src/feed-ring.ts';
import type { Frame } from '../src/ports.ts';

const frame = (seq: number, size = 10): Frame => ({ seq, subject: 's', text: 'x'.repeat(size) });
const seqs = (frames: readonly Frame[]) => frames.map(({ seq }) => seq);
const ringOf = (maxBytes: number, ...frames: Frame[]) => {
  const ring = new FrameRing(maxBytes);
  for (const each of frames) ring.push(each);
  return ring;
};

describe('bounds', () => {
  test('FEED-11 holds what fits, and drops the oldest', () => {
    const ring = ringOf(30, frame(1), frame(2), frame(3));
    expect([ring.floor, seqs(ring.slice(0, 3, 1000))]).toEqual([0, [1, 2, 3]]);
    ring.push(frame(7));
    expect([ring.floor, seqs(ring.slice(1, 7, 1000))]).toEqual([1, [2, 3, 7]]);
    ring.push(frame(8, 21));
    expect([ring.floor, seqs(ring.slice(7, 8, 1000))]).toEqual([7, [8]]);
  });

  test('FEED-11 a frame that is larger than the ring leaves it empty, with a floor that says so', () => {
    const ring = ringOf(30, frame(1), frame(2, 31));
    expect(ring.floor).toBe(2);
    expect(ring.slice(2, 2, 1000)).toEqual([]);
    ring.push(frame(3));
    expect([ring.floor, seqs(ring.slice(2, 3, 1000))]).toEqual([2, [3]]);
  });

  test('FEED-11 counts all that was pushed, dropped or not', () => {
    const ring = ringOf(15, frame(1), frame(2), frame(3));
    expect(ring.pushedBytes).toBe(30);
    ring.reset(9);
    expect(ring.pushedBytes).toBe(30);
  });

  test('FEED-13 reset forgets frames and slices', () => {
    const ring = ringOf(100, frame(1), frame(2));
    expect(seqs(ring.slice(0, 2, 1000))).toEqual([1, 2]);
    ring.reset(0);
    expect([ring.floor, ring.slice(0, 2, 1000)]).toEqual([0, []]);
    ring.push(frame(2));
    expect(seqs(ring.slice(1, 2, 1000))).toEqual([2]);
    ring.reset(40);
    expect(ring.floor).toBe(40);
  });
});

describe('slices', () => {
  test('FEED-2 what is after one position and not beyond the other', () => {
    const ring = ringOf(1000, frame(2), frame(4), frame(6), frame(8));
    expect(seqs(ring.slice(0, 8, 1000))).toEqual([2, 4, 6, 8]);
    expect(seqs(ring.slice(2, 6, 1000))).toEqual([4, 6]);
    expect(seqs(ring.slice(3, 7, 1000))).toEqual([4, 6]);
    expect(ring.slice(8, 8, 1000)).toEqual([]);
    expect(ring.slice(4, 5, 1000)).toEqual([]);
  });

  test('FEED-11 as many as fit, and at least one', () => {
    const ring = ringOf(1000, frame(1, 10), frame(2, 10), frame(3, 50));
    expect(seqs(ring.slice(0, 3, 20))).toEqual([1, 2]);
    expect(seqs(ring.slice(0, 3, 19))).toEqual([1]);
    expect(seqs(ring.slice(0, 3, 1))).toEqual([1]);
    expect(seqs(ring.slice(2, 3, 1))).toEqual([3]);
    expect(seqs(ring.slice(0, 3, 70))).toEqual([1, 2, 3]);
  });

  test('FEED-2 those who are due the same frames share one array', () => {
    const ring = ringOf(1000, frame(1), frame(2), frame(3));
    const first = ring.slice(0, 3, 1000);
    expect(ring.slice(0, 3, 1000)).toBe(first);
    ring.push(frame(4));
    expect(ring.slice(0, 3, 1000)).toBe(first);
    expect(ring.slice(1, 3, 1000)).not.toBe(first);
    expect(seqs(ring.slice(0, 4, 1000))).toEqual([1, 2, 3, 4]);
  });

  test('FEED-2 any pushes, slices and resets, against a list of all frames', () => {
    const step = fc.oneof(
      { weight: 6, arbitrary: fc.record({ gap: fc.integer({ min: 1, max: 3 }), size: fc.nat({ max: 40 }) }) },
      { weight: 4, arbitrary: fc.record({ after: fc.nat(), until: fc.nat(), bytes: fc.nat({ max: 100 }) }) },
      { weight: 1, arbitrary: fc.record({ reset: fc.nat({ max: 5 }) }) },
    );
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 200 }), fc.array(step, { maxLength: 60 }), (maxBytes, steps) => {
        const ring = new FrameRing(maxBytes);
        let all: Frame[] = [];
        let last = 0;
        for (const does of steps) {
          if ('gap' in does) {
            all.push(frame((last += does.gap), does.size));
            ring.push(all.at(-1) as Frame);
          } else if ('reset' in does) {
            all = [];
            ring.reset((last += does.reset));
          } else {
            // From the floor on, up to what has been pushed.
            const after = ring.floor + (does.after % (last - ring.floor + 1));
            const until = after + (does.until % (last - after + 1));
            const due = all.filter(({ seq }) => seq > after && seq <= until);
            let bytes = 0;
            const fit = due.filter((each, at) => (bytes += each.text.length) <= does.bytes || at === 0);
            expect(seqs(ring.slice(after, until, does.bytes))).toEqual(seqs(fit));
          }
          const kept = all.filter(({ seq }) => seq > ring.floor);
          const size = kept.reduce((sum, { text }) => sum + text.length, 0);
          expect(size).toBeLessThanOrEqual(maxBytes);
          expect(seqs(ring.slice(ring.floor, last, Number.POSITIVE_INFINITY))).toEqual(seqs(kept));
        }
      }),
      { numRuns: 300 },
    );
  });

  test('FEED-11 a hundred thousand frames pass through in no time', () => {
    const ring = new FrameRing(10_000);
    const start = performance.now();
    for (let seq = 1; seq <= 100_000; seq++) ring.push(frame(seq));
    expect(performance.now() - start).toBeLessThan(1000);
    expect(ring.floor).toBe(99_000);
    expect(seqs(ring.slice(99_990, 100_000, 1000))).toHaveLength(10);
  });
});
