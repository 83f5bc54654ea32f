import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { formationIdFor, parseUuid } from '../src/ids.ts';
import { spellUuid } from './support/arbitraries.ts';

const ID = '6f1d0b0e-8f43-4c55-9d53-0e6f6f5fabcd';

describe('spellings of a UUID', () => {
  test('HTTP-14 upper case, without hyphens, in braces, as urn:uuid:', () => {
    const spellings = [0, 1, 2, 3, 4].map((spelling) => spellUuid(ID, spelling));
    expect(spellings.map(parseUuid)).toEqual(spellings.map(() => ID));
    expect(parseUuid(`{${ID.toUpperCase()}}`)).toBe(ID);
    expect(parseUuid(ID.replaceAll('-', '').toUpperCase())).toBe(ID);
  });

  test('HTTP-14 every UUID in every spelling comes out the same', () => {
    fc.assert(
      fc.property(fc.uuid({ version: [1, 3, 4, 5, 7, 8] }), fc.nat({ max: 4 }), (id, spelling) => {
        expect(parseUuid(spellUuid(id, spelling))).toBe(id.toLowerCase());
      }),
    );
  });

  test('HTTP-14 the nil and the highest UUID are UUIDs', () => {
    for (const digit of ['0', 'f']) {
      const id = ID.replaceAll(/[0-9a-f]/g, digit);
      expect(parseUuid(id)).toBe(id);
    }
  });

  test.each([
    ['nothing', ''],
    ['a space', ' '],
    ['a digit short', ID.slice(1)],
    ['a digit long', `${ID}0`],
    ['no digit', ID.replace('6', 'g')],
    ['spaces around', ` ${ID} `],
    ['a line feed behind', `${ID}\n`],
    ['one brace', `{${ID}`],
    ['the other brace', `${ID}}`],
    ['braces twice', `{{${ID}}}`],
    ['another urn', `urn:oid:${ID}`],
    ['hyphens elsewhere', `${ID.replaceAll('-', '').slice(0, 4)}-${ID.replaceAll('-', '').slice(4)}`],
    ['a hyphen missing', ID.replace('-', '')],
    ['other hyphens', ID.replaceAll('-', '\u2010')],
    ['fullwidth digits', ID.replace('6', '\uff16')],
    ['a lot', ID.repeat(1000)],
  ])('HTTP-14 none: %s', (_what, text) => {
    expect(parseUuid(text)).toBeNull();
  });

  test('PRJ-4 no text makes it throw', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        const id = parseUuid(text);
        expect(id === null || /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(id)).toBe(true);
      }),
    );
  });
});

describe('ids of new formations', () => {
  // Computed with another implementation of RFC 9562. Servers of all versions must agree on them, or two of them admit one
  // name twice.
  test.each([
    ['demo', null, '562a51d9-caba-5022-9b51-4a992e473787'],
    ['demo', '6f1d0b0e-8f43-4c55-9d53-0e6f6f5f0001', '1d09283f-1810-5b4c-bf96-425cc09d16f0'],
    ['Demo', null, '9e8a2c87-14e3-5bec-8861-9c51e6658137'],
    ['a.b_c-1', null, '4ea4f624-52ad-5969-b34e-eb88167604ea'],
  ])('ADM-27 of "%s" after %s is %s', (name, previous, id) => {
    expect(formationIdFor(name, previous)).toBe(id);
  });

  test('ADM-27 are version 5 UUIDs, a function of name and previous holder, and all different', () => {
    const holder = fc.option(fc.uuid({ version: 5 }));
    fc.assert(
      fc.property(
        fc.uniqueArray(fc.tuple(fc.stringMatching(/^[\w.-]{1,20}$/), holder), uniquely),
        (pairs) => {
          const ids = pairs.map(([name, previous]) => formationIdFor(name, previous));
          for (const id of ids) {
            expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-5[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
            expect(parseUuid(id)).toBe(id);
          }
          expect(new Set(ids).size).toBe(pairs.length);
          expect(pairs.map(([name, previous]) => formationIdFor(name, previous))).toEqual(ids);
        },
      ),
    );
  });
});

const uniquely = { selector: (pair: readonly (string | null)[]) => pair.join('\n'), maxLength: 10 };
