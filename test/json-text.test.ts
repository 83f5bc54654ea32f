import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { elementsOf, memberOf, membersOf, minify, outlineOf } from '../src/json-text.ts';
import { anyString, canonical, jsonText, objectText } from './support/arbitraries.ts';

const parsed = (text: string) => canonical(JSON.parse(text));

describe('pieces keep their spelling', () => {
  test('LOG-7 members of an object are slices of its text, of a repeated key the last', () => {
    fc.assert(
      fc.property(objectText, ({ text, members }) => {
        const expected = new Map((members ?? []).map(([key, value]) => [key, value.text]));
        expect(membersOf(text)).toEqual(expected);
        expect([...membersOf(text).keys()]).toEqual([...expected.keys()]);
      }),
      { numRuns: 500 },
    );
  });

  test('LOG-7 a member found by its name is the one JSON.parse takes', () => {
    fc.assert(
      fc.property(
        objectText,
        fc.oneof(anyString, fc.constantFrom('a', '__proto__', '\\n')),
        (object, other) => {
          const names = new Set([other, ...(object.members ?? []).map(([key]) => key)]);
          for (const name of names) {
            const last = object.members?.findLast(([key]) => key === name);
            expect(memberOf(object.text, name)).toBe(last === undefined ? null : last[1].text);
          }
        },
      ),
      { numRuns: 500 },
    );
  });

  test('LOG-7 a name with a backslash is not the escape that is spelled so', () => {
    expect(memberOf(String.raw`{"\n":1}`, '\n')).toBe('1');
    expect(memberOf(String.raw`{"\n":1}`, String.raw`\n`)).toBeNull();
    expect(memberOf(String.raw`{"\\n":1}`, String.raw`\n`)).toBe('1');
  });

  test('LOG-7 elements of an array are slices of its text', () => {
    fc.assert(
      fc.property(jsonText, ({ text, elements }) => {
        expect(elementsOf(text)).toEqual((elements ?? []).map((element) => element.text));
      }),
      { numRuns: 500 },
    );
  });

  test('LOG-7 minified, only the white space between tokens is gone', () => {
    fc.assert(
      fc.property(jsonText, ({ text, dense }) => {
        expect(minify(text)).toBe(dense);
      }),
      { numRuns: 500 },
    );
  });

  test('ADM-10 depth counts arrays and objects', () => {
    fc.assert(
      fc.property(jsonText, ({ text, depth }) => {
        expect(outlineOf(text).depth).toBe(depth);
      }),
      { numRuns: 500 },
    );
  });

  test('LOG-7 hand-made spellings', () => {
    const text = ' { "a" : 1.0 ,\t"\\u0061" : 1e3,"b":[ ] , "c" :{ "]":"}\\"," } ,"a":\n0.10 } ';
    expect([...membersOf(text)]).toEqual([
      ['a', '0.10'],
      ['b', '[ ]'],
      ['c', '{ "]":"}\\"," }'],
    ]);
    expect(memberOf(text, 'a')).toBe('0.10');
    expect(minify(text)).toBe('{"a":1.0,"\\u0061":1e3,"b":[],"c":{"]":"}\\","},"a":0.10}');
    expect(elementsOf(' [ 1.0 , "a,]" ,[ 2 , 3 ], { } ] ')).toEqual(['1.0', '"a,]"', '[ 2 , 3 ]', '{ }']);
    expect(elementsOf('[]')).toEqual([]);
    expect(elementsOf(' [ ] ')).toEqual([]);
    expect(minify('" a  b "')).toBe('" a  b "');
    expect(minify(String.raw`[ "\\" , " " ]`)).toBe(String.raw`["\\"," "]`);
  });

  test('LOG-7 a member of a member, of the last of its name', () => {
    const text = ' {"b":{"c":1} , "a":{"c":1}, "a" : { "c" : [ 2 ], "d":{"c":3} } } ';
    expect(memberOf(text, 'a', 'c')).toBe('[ 2 ]');
    expect(memberOf(text, 'a', 'd', 'c')).toBe('3');
    expect(memberOf(text, 'a', 'x')).toBeNull();
    expect(memberOf(text, 'a', 'c', 'x')).toBeNull();
    expect(memberOf('{"a":{"c":1},"a":{"d":2}}', 'a', 'c')).toBeNull();
    expect(memberOf('{"a":{"c":1},"a":7}', 'a', 'c')).toBeNull();
    expect(memberOf(String.raw`{"a":{"\u0063":1}}`, 'a', 'c')).toBe('1');
  });

  test('LOG-7 what is no object has no members, what is no array no elements', () => {
    for (const text of ['', ' ', '7', '"{}"', 'null', '[{"a":1}]']) {
      expect(membersOf(text).size).toBe(0);
      expect(memberOf(text, 'a')).toBeNull();
    }
    for (const text of ['', '7', '"[]"', 'null', '{"a":[1]}']) expect(elementsOf(text)).toEqual([]);
  });
});

describe('agreement with JSON.parse', () => {
  test('LOG-7 on any JSON', () => {
    fc.assert(
      fc.property(fc.json({ maxDepth: 4 }), fc.constantFrom(0, 1, '\t', 4), (json, indent) => {
        const value = JSON.parse(json) as unknown;
        const text = JSON.stringify(value, null, indent);
        expect(minify(text)).toBe(JSON.stringify(value));
        if (Array.isArray(value)) expect(elementsOf(text).map(parsed)).toEqual(value.map(canonical));
        else if (typeof value === 'object' && value !== null) {
          const members = [...membersOf(text)].map(([key, member]) => [key, parsed(member)]);
          expect(members).toEqual(Object.entries(value).map(([key, member]) => [key, canonical(member)]));
          for (const [key, member] of Object.entries(value)) {
            expect(parsed(memberOf(text, key) ?? '')).toBe(canonical(member));
          }
        }
      }),
      { numRuns: 500 },
    );
  });

  test('LOG-7 the random texts are JSON themselves', () => {
    fc.assert(
      fc.property(jsonText, ({ text, dense }) => {
        expect(parsed(text)).toBe(parsed(dense));
      }),
    );
  });
});

describe('hostile texts', () => {
  test('ADM-10 nesting that no stack would hold', () => {
    const deep = `${'['.repeat(200_000)}${']'.repeat(200_000)}`;
    expect(outlineOf(deep).depth).toBe(200_000);
    expect(elementsOf(deep)).toHaveLength(1);
    expect(memberOf(`{"a":${deep}}`, 'a')).toBe(deep);
    expect(minify(` ${deep} `)).toBe(deep);
  });

  test('ADM-10 a string of nothing but escapes', () => {
    const escapes = JSON.stringify('\n'.repeat(500_000));
    expect(minify(`[ ${escapes} ]`)).toBe(`[${escapes}]`);
    expect(elementsOf(`[ ${escapes} ]`)).toEqual([escapes]);
    expect(outlineOf(escapes).depth).toBe(0);
  });
});
