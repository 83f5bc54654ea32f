// Records in order against a naive model: everything is sorted and rendered anew whenever somebody asks.
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { OrderedRecords } from '../src/ordered-records.ts';
import { compareUtf8 } from '../src/text.ts';
import { decodeUtf8 } from '../src/utf8.ts';
import { anyString } from './support/arbitraries.ts';

interface Item {
  readonly id: string;
  version: number;
}

const toText = ({ id, version }: Item) => JSON.stringify([id, version]);

/** Records as a projection keeps them, the order over them, and the same done naively. */
class Pair {
  readonly #records = new Map<string, Item>();
  readonly ordered = new OrderedRecords<Item>(this.#records, compareUtf8);
  #version = 0;

  /** New ids are inserted, known ones change. */
  write(ids: Iterable<string>): this {
    for (const id of ids) {
      const version = ++this.#version;
      const known = this.#records.get(id);
      if (known === undefined) this.#records.set(id, { id, version });
      else known.version = version;
    }
    return this;
  }

  sorted(): Item[] {
    return [...this.#records.values()].sort((a, b) => compareUtf8(a.id, b.id));
  }

  expectSame(): void {
    const texts = this.sorted().map(toText);
    expect(this.ordered.texts(toText)).toEqual(texts);
    expect(decodeUtf8(this.ordered.body(toText, '[', ']'))).toBe(`[${texts.join(',')}]`);
  }
}

/** Ids that begin alike, so that they meet; many of them, so that there are several runs and some are split. */
const someIds = fc.oneof(
  fc.array(anyString, { maxLength: 10 }),
  fc
    .tuple(
      fc.constantFrom('', 'a', 'b', '\uffff', '\ud83d\ude00'),
      fc.nat({ max: 700 }),
      fc.nat({ max: 300 }),
    )
    .map(([head, from, count]) => Array.from({ length: count }, (_, at) => `${head}${(from + at) % 700}`)),
);

const steps = fc.array(someIds, { maxLength: 12 });

describe('records in order', () => {
  test('HTTP-21 HTTP-30 all of them, whenever they are asked for', () => {
    fc.assert(
      fc.property(steps, (all) => {
        const pair = new Pair();
        pair.expectSame();
        for (const ids of all) pair.write(ids).expectSame();
      }),
      { numRuns: 150 },
    );
  });

  test.each([
    ['from the first to the last', (n: number) => n],
    ['from the last to the first', (n: number) => -n],
    ['scattered', (n: number) => (n * 7919) % 1000],
  ])('HTTP-30 one at a time, %s', (_how, order) => {
    const pair = new Pair().write(['m']);
    pair.expectSame();
    for (let n = 0; n < 1000; n++) {
      pair.write([String(5000 + order(n))]);
      // Every insertion is taken in by itself, and every one of the sizes around a split is looked at.
      if (n % 100 < 3 || (n > 120 && n < 132) || (n > 250 && n < 260)) pair.expectSame();
      else pair.ordered.select({ limit: 1 });
    }
    pair.expectSame();
  });

  test('HTTP-63 selections: what is behind an id, known or not, and accepted', () => {
    fc.assert(
      fc.property(
        steps,
        fc.array(
          fc.record({
            after: fc.oneof(fc.constant(null), anyString, fc.nat({ max: 700 }).map(String)),
            limit: fc.constantFrom(undefined, 0, 1, 2, 127, 128, 129, 1000),
            modulo: fc.constantFrom(1, 2, 50, Number.POSITIVE_INFINITY),
          }),
          { minLength: 1, maxLength: 8 },
        ),
        (all, selections) => {
          const pair = new Pair();
          for (const [at, { after, limit, modulo }] of selections.entries()) {
            pair.write(all[at] ?? []);
            const accepts = ({ version }: Item) => version % modulo === 0;
            const expected = pair
              .sorted()
              .filter(({ id }) => after === null || compareUtf8(id, after) > 0)
              .filter(accepts);
            const selected = pair.ordered.select({ after, limit, accepts });
            expect(selected.items).toEqual(expected.slice(0, limit));
            expect(selected.isLast).toBe(limit === 0 || expected.length <= (limit ?? expected.length));
          }
        },
      ),
      { numRuns: 150 },
    );
  });

  test('HTTP-66 a record is found among those that begin with the same text', () => {
    fc.assert(
      fc.property(steps, anyString, fc.nat({ max: 5 }), (all, prefix, nth) => {
        const pair = new Pair();
        for (const ids of all) pair.write(ids);
        const matching = pair.sorted().filter(({ id }) => id.startsWith(prefix));
        const wanted = matching[nth % Math.max(matching.length, 1)] ?? null;
        let looks = 0;
        const found = pair.ordered.find(prefix, (item) => {
          looks++;
          return item === wanted;
        });
        expect(found).toBe(wanted);
        expect(looks).toBeLessThanOrEqual(matching.length);
      }),
      { numRuns: 150 },
    );
  });

  test('HTTP-63 a page looks at its own records, not at all', () => {
    const pair = new Pair().write(Array.from({ length: 10_000 }, (_, n) => String(10_000 + n)));
    let looks = 0;
    const accepts = () => ++looks > 0;
    const { items, isLast } = pair.ordered.select({ after: '15000', limit: 10, accepts });
    expect(items.map(({ id }) => id)).toEqual(Array.from({ length: 10 }, (_, n) => String(15_001 + n)));
    expect([isLast, looks]).toEqual([false, 11]);
  });
});
