// The spelling that signatures are made over.
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { canonicalJson, canonicalMembers, canonicalObject, isCanonical } from '../src/canonical-json.ts';
import { encodeUtf8 } from '../src/utf8.ts';
import { jsonText } from './support/arbitraries.ts';
import { OPENSSL_VECTORS } from './support/openssl-vectors.ts';

test.each(OPENSSL_VECTORS.filter(({ order }) => order === 'canonical'))('SIG-4 $name', (vector) => {
  expect(canonicalJson(vector.event)).toBe(vector.canonical);
});

test.each([
  ['null', 'null'],
  [' "a\\u0000\\u2028\\u007f" ', '"a\\u0000\u2028\u007f"'],
  ['"\\ud800\\udc00"', '"\u{10000}"'],
  ['"\\uD800x"', '"\\ud800x"'],
  ['[ ]', '[]'],
  ['{\n}', '{}'],
  ['{"b":{"d":1,"c":[{}]},"a":[]}', '{"a":[],"b":{"c":[{}],"d":1}}'],
  ['{"10":1,"9":2,"__proto__":{"b":1,"a":2}}', '{"10":1,"9":2,"__proto__":{"a":2,"b":1}}'],
  ['{"\\u0061":1,"a":2}', '{"a":2}'],
  ['{"a b":1,"a":2,"":3}', '{"":3,"a":2,"a b":1}'],
])('SIG-4 %s', (text, canonical) => {
  expect(canonicalJson(text)).toBe(canonical);
});

describe('SIG-4 any JSON text', () => {
  test('says the same, with its keys in order and without white space', () => {
    fc.assert(
      fc.property(jsonText, ({ text }) => {
        const canonical = canonicalJson(text);
        expect(JSON.parse(canonical)).toEqual(JSON.parse(text));
        expect(canonicalJson(canonical)).toBe(canonical);
        expectInOrder(JSON.parse(canonical), canonical);
      }),
    );
  });

  test('two spellings of one value are one text, unless a number is spelled in another way', () => {
    const value = fc.jsonValue({ maxDepth: 4 }).filter((any) => !/[\d.]e/.test(JSON.stringify(any)));
    fc.assert(
      fc.property(value, fc.integer({ min: 0, max: 3 }), (any, spaces) => {
        const text = JSON.stringify(any, null, spaces);
        const escaped = text.replaceAll(
          /[^\0-~]/g,
          (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`,
        );
        expect(canonicalJson(escaped)).toBe(canonicalJson(JSON.stringify(any)));
      }),
    );
  });

  test('is known when it is met, and nothing else is taken for it', () => {
    fc.assert(
      fc.property(jsonText, ({ text }) => {
        fc.pre(text.isWellFormed());
        const canonical = canonicalJson(text);
        if (isCanonical(text)) expect(canonical).toBe(text);
        expect(isCanonical(canonical)).toBe(!canonical.includes('\\'));
      }),
    );
  });

  test('of an object the members are the whole', () => {
    fc.assert(
      fc.property(jsonText, ({ text }) => {
        const members = canonicalMembers(text);
        if (members !== null) expect(canonicalObject(members)).toBe(canonicalJson(text));
        else expect(text.trimStart().startsWith('{')).toBe(false);
      }),
    );
  });
});

/** Also where JavaScript's objects have an order of their own. */
function expectInOrder(value: unknown, text: string): void {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return;
  const members = canonicalMembers(text) as Map<string, string>;
  const spelled = [...members].map(([key, member]) => `${JSON.stringify(key)}:${member}`);
  expect(`{${spelled.join(',')}}`.length).toBe(text.length);
  const hex = (key: string) =>
    Array.from(encodeUtf8(key), (byte) => byte.toString(16).padStart(2, '0')).join('');
  const sorted = [...members.keys()]
    .filter((key) => key.isWellFormed())
    .sort((a, b) => (hex(a) < hex(b) ? -1 : 1));
  const starts = sorted.map((key) => ({ key, at: positionOf(text, key) }));
  expect(starts.map(({ at }) => at)).toEqual(starts.map(({ at }) => at).sort((a, b) => a - b));
}

/** Where the key of the outermost object is; only its own keys stand at this depth. */
function positionOf(text: string, key: string): number {
  const literal = `${JSON.stringify(key)}:`;
  let depth = 0;
  for (let at = 0; at < text.length; at++) {
    if (depth === 1 && text.startsWith(literal, at) && '{,'.includes(text[at - 1] as string)) return at;
    if (text[at] === '"') {
      for (at++; text[at] !== '"'; at++) if (text[at] === '\\') at++;
    } else if ('{['.includes(text[at] as string)) depth++;
    else if ('}]'.includes(text[at] as string)) depth--;
  }
  throw new Error(`${key} is not in ${text}`);
}

test('SIG-13 deep nesting and long texts cost what they are long', () => {
  const depth = 400_000;
  const deep = `${'{"b":['.repeat(depth)}${']}'.repeat(depth)}`;
  const started = performance.now();
  expect(canonicalJson(deep)).toBe(deep);
  const wide = `{${Array.from({ length: 50_000 }, (_, at) => `"k${(at * 7919) % 50_000}":[1, 2]`).join(', ')}}`;
  expect(canonicalJson(wide).length).toBe(wide.length - 2 * 50_000 + 1);
  // A hundred times what it takes: what grew with the square would take hours.
  expect(performance.now() - started).toBeLessThan(60_000);
});
