import { describe, expect, test } from 'vitest';

import {
  entityTag,
  isMatch,
  isWeakMatch,
  readConditionOf,
  weakEntityTag,
  writeConditionOf,
} from '../src/entity-tags.ts';

const EPOCH = '2026-11-20T21:07:56.60298962Z';
const TAG = entityTag(EPOCH, 42);
const WEAK = weakEntityTag(EPOCH, 42);
const headers = (name: string, value: string) => new Headers({ [name]: value });

describe('tags', () => {
  test('HTTP-62 tell the incarnation and the version', () => {
    const tags = [TAG, entityTag(EPOCH, 43), entityTag('another', 42), entityTag('', 0), WEAK];
    expect(new Set(tags).size).toBe(tags.length);
    for (const tag of tags) expect(tag).toMatch(/^(W\/)?"[!#-~]*"$/);
  });
});

describe('conditions', () => {
  test.each<[string, string[] | '*']>([
    ['*', '*'],
    [' * ', '*'],
    [TAG, [TAG]],
    [`${TAG},"b"`, [TAG, '"b"']],
    [` ${WEAK} , "b",, `, [WEAK, '"b"']],
    ['""', ['""']],
    ['"a,b", "c"', ['"a,b"', '"c"']],
  ])('OUT-18 HTTP-62 %j', (value, condition) => {
    expect(writeConditionOf(headers('if-match', value))).toEqual(condition);
    expect(readConditionOf(headers('if-none-match', value))).toEqual(condition);
  });

  test.each(['', ' ', ',', 'a', '"a', 'a"', '"a" "b"', '*, "a"', 'w/"a"', '"a"b'])(
    'OUT-18 HTTP-62 %j is none: refused before a write, ignored before a read',
    (value) => {
      expect(() => writeConditionOf(headers('if-match', value))).toThrow('If-Match');
      expect(readConditionOf(headers('if-none-match', value))).toBeNull();
    },
  );

  test('OUT-18 HTTP-62 there need not be one', () => {
    expect(writeConditionOf(new Headers())).toBeNull();
    expect(readConditionOf(new Headers())).toBeNull();
  });

  test('OUT-18 before a write a weak tag is never the same', () => {
    expect([isMatch('*', TAG), isMatch(['"a"', TAG], TAG), isMatch([WEAK], TAG)]).toEqual([
      true,
      true,
      false,
    ]);
    expect([isMatch([WEAK], WEAK), isMatch(['"a"'], TAG), isMatch([], TAG)]).toEqual([false, false, false]);
  });

  test('HTTP-62 before a read it is', () => {
    for (const condition of ['*', [TAG], [WEAK], ['"a"', WEAK]] as const) {
      expect([isWeakMatch(condition, TAG), isWeakMatch(condition, WEAK)]).toEqual([true, true]);
    }
    expect(isWeakMatch(['"a"'], TAG)).toBe(false);
  });
});
