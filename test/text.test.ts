import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { compareUtf8, excerpt, excerpts } from '../src/text.ts';
import { decodeUtf8, encodeUtf8 } from '../src/utf8.ts';
import { anyString } from './support/arbitraries.ts';

const character = fc.oneof(
  fc.string({ unit: 'binary', minLength: 1, maxLength: 1 }),
  fc.constantFrom('a', 'é', '\ud7ff', '\ue000', '\uffff', '\u{10000}', '\u{10ffff}'),
);
const wellFormed = fc.string({ unit: character, maxLength: 6 });

function compareBytes(a: Uint8Array, b: Uint8Array): number {
  for (let at = 0; at < Math.min(a.length, b.length); at++) {
    if (a[at] !== b[at]) return (a[at] as number) - (b[at] as number);
  }
  return a.length - b.length;
}

describe('compareUtf8', () => {
  test('HTTP-30 orders as the bytes do', () => {
    fc.assert(
      fc.property(wellFormed, wellFormed, wellFormed, (start, a, b) => {
        const [left, right] = [start + a, start + b];
        expect(Math.sign(compareUtf8(left, right))).toBe(
          Math.sign(compareBytes(encodeUtf8(left), encodeUtf8(right))),
        );
      }),
      { numRuns: 2000 },
    );
  });

  test('HTTP-30 private use and emoji, which UTF-16 orders the other way', () => {
    expect(['😀', '\uffff', '\ue000', 'a', '', 'aa'].sort(compareUtf8)).toEqual([
      '',
      'a',
      'aa',
      '\ue000',
      '\uffff',
      '😀',
    ]);
  });

  test('HTTP-30 is a total order of any text, lone surrogates included', () => {
    fc.assert(
      fc.property(anyString, anyString, anyString, (a, b, c) => {
        expect(compareUtf8(a, b) === 0).toBe(a === b);
        expect(Math.sign(compareUtf8(a, b))).toBe(-Math.sign(compareUtf8(b, a)) + 0);
        const [low, middle, high] = [a, b, c].sort(compareUtf8) as [string, string, string];
        expect(compareUtf8(low, middle)).toBeLessThanOrEqual(0);
        expect(compareUtf8(middle, high)).toBeLessThanOrEqual(0);
        expect(compareUtf8(low, high)).toBeLessThanOrEqual(0);
      }),
      { numRuns: 1000 },
    );
  });
});

describe('excerpt', () => {
  test('HTTP-3 repeats an ordinary text as it is, up to 200 characters', () => {
    expect(excerpt('näme 😀')).toBe('näme 😀');
    expect(excerpt('a'.repeat(200))).toBe('a'.repeat(200));
    expect(excerpt('a'.repeat(201))).toBe(`${'a'.repeat(199)}…`);
  });

  test('HTTP-3 has no control characters and no line separators', () => {
    for (const code of [0x00, 0x07, 0x0a, 0x0d, 0x1b, 0x7f, 0x85, 0x9f, 0x2028, 0x2029, 0x202e, 0xfeff]) {
      expect(excerpt(`a${String.fromCharCode(code)}b`)).toBe('a\ufffdb');
    }
  });

  test('HTTP-3 of any text is well-formed, clean and short', () => {
    fc.assert(
      fc.property(anyString, fc.nat({ max: 60 }), (text, times) => {
        const shown = excerpt(text.repeat(times));
        expect(shown.length).toBeLessThanOrEqual(200);
        expect(shown.isWellFormed()).toBe(true);
        expect(shown).not.toMatch(/[\p{Cc}\u2028\u2029]/u);
      }),
      { numRuns: 300 },
    );
  });

  test('HTTP-3 does not cut a character in two', () => {
    expect(excerpt(`${'a'.repeat(198)}😀b`)).toBe(`${'a'.repeat(198)}\ufffd…`);
  });

  test('ADM-28 several, each in quotes', () => {
    expect(excerpts(['a', 'b\n'])).toBe('"a", "b\ufffd"');
    expect(excerpts(new Set<string>())).toBe('');
  });
});

describe('strict UTF-8', () => {
  test('LOG-7 what decodes encodes to the same bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 6 }), (bytes) => {
        const text = decodeUtf8(bytes);
        if (text !== null) expect([...encodeUtf8(text)]).toEqual([...bytes]);
      }),
      { numRuns: 1000 },
    );
  });

  test.each([
    ['a lone continuation', [0x80]],
    ['a cut sequence', [0xc3]],
    ['an overlong slash', [0xc0, 0xaf]],
    ['a surrogate', [0xed, 0xa0, 0x80]],
    ['beyond Unicode', [0xf4, 0x90, 0x80, 0x80]],
  ])('PRJ-3 is not: %s', (_what, bytes) => {
    expect(decodeUtf8(Uint8Array.from(bytes))).toBeNull();
  });

  test('LOG-7 a byte order mark stays', () => {
    expect(decodeUtf8(Uint8Array.of(0xef, 0xbb, 0xbf, 0x7b, 0x7d))).toBe('\ufeff{}');
  });
});
