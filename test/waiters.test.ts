import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { Waiters } from '../src/waiters.ts';

const never = () => new AbortController().signal;

/** What became of a promise, once everything that is due has run. */
async function outcome(promise: Promise<unknown>): Promise<string> {
  let result = 'waiting';
  void promise.then(
    () => (result = 'resolved'),
    (reason: unknown) => (result = `rejected: ${String(reason)}`),
  );
  for (let turn = 0; turn < 5; turn++) await Promise.resolve();
  return result;
}

describe('waiting for a position', () => {
  test('OUT-6 resolves at the position and beyond, not before', async () => {
    const waiters = new Waiters();
    const [five, six, seven] = [5, 6, 7].map((position) => waiters.until(position, never()));
    waiters.reached(4);
    expect(await outcome(five as Promise<void>)).toBe('waiting');
    waiters.reached(6);
    expect(await outcome(five as Promise<void>)).toBe('resolved');
    expect(await outcome(six as Promise<void>)).toBe('resolved');
    expect(await outcome(seven as Promise<void>)).toBe('waiting');
    waiters.reached(100);
    expect(await outcome(seven as Promise<void>)).toBe('resolved');
  });

  test('OUT-6 everybody is served exactly when their position has come', async () => {
    const position = fc.integer({ min: 1, max: 20 });
    const step = fc.oneof(
      position.map((wait) => ({ wait })),
      position.map((reached) => ({ reached })),
      fc.nat().map((abort) => ({ abort })),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 30 }), async (steps) => {
        const waiters = new Waiters();
        const made: { position: number; abort: AbortController; promise: Promise<void>; expected: string }[] =
          [];
        for (const does of steps) {
          if ('wait' in does) {
            const abort = new AbortController();
            const promise = waiters.until(does.wait, abort.signal);
            made.push({ position: does.wait, abort, promise, expected: 'waiting' });
          } else if ('reached' in does) {
            waiters.reached(does.reached);
            for (const waiter of made) {
              const due = waiter.expected === 'waiting' && waiter.position <= does.reached;
              if (due) waiter.expected = 'resolved';
            }
          } else if (made.length > 0) {
            const waiter = made[does.abort % made.length] as (typeof made)[number];
            waiter.abort.abort('gone');
            if (waiter.expected === 'waiting') waiter.expected = 'rejected: gone';
          }
        }
        for (const { promise, expected } of made) expect(await outcome(promise)).toBe(expected);
      }),
      { numRuns: 200 },
    );
  });

  test('OUT-7 an abort rejects with its reason, before or while waiting', async () => {
    const waiters = new Waiters();
    expect(await outcome(waiters.until(1, AbortSignal.abort('too late')))).toBe('rejected: too late');
    const abort = new AbortController();
    const waiting = waiters.until(1, abort.signal);
    abort.abort('gave up');
    expect(await outcome(waiting)).toBe('rejected: gave up');
    const other = waiters.until(2, never());
    waiters.reached(2);
    expect(await outcome(other)).toBe('resolved');
  });

  test('OUT-7 all are told when their positions will not come', async () => {
    const waiters = new Waiters();
    const waiting = [1, 2, 3].map((position) => waiters.until(position, never()));
    waiters.rejectAll('replaced');
    for (const promise of waiting) expect(await outcome(promise)).toBe('rejected: replaced');
    const later = waiters.until(1, never());
    waiters.reached(1);
    expect(await outcome(later)).toBe('resolved');
  });

  test('OUT-6 ten thousand of them do not hold up the tail', async () => {
    const times: number[] = [];
    // The best of three, because processors are shared.
    for (let run = 0; run < 3; run++) {
      const waiters = new Waiters();
      const waiting = Array.from({ length: 10_000 }, (_, position) => waiters.until(position, never()));
      const start = performance.now();
      waiters.reached(10_000);
      times.push(performance.now() - start);
      await Promise.all(waiting);
    }
    expect(Math.min(...times)).toBeLessThan(100);
  });

  test('OUT-7 nor when they all give up', async () => {
    const waiters = new Waiters();
    const aborts = Array.from({ length: 10_000 }, () => new AbortController());
    const waiting = aborts.map((abort, position) => waiters.until(position, abort.signal));
    const settled = Promise.allSettled(waiting);
    const start = performance.now();
    for (const abort of aborts) abort.abort('gone');
    expect(performance.now() - start).toBeLessThan(1000);
    expect((await settled).every(({ status }) => status === 'rejected')).toBe(true);
    const later = waiters.until(1, never());
    waiters.reached(1);
    expect(await outcome(later)).toBe('resolved');
  });
});
