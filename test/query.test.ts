import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { ProblemError } from '../src/problems.ts';
import {
  canonicalPath,
  parseQuery,
  parseUnsigned,
  percentDecode,
  queryParameters,
  rawPathOf,
} from '../src/query.ts';

const BASE = 'http://localhost:8080';

/** With what the language has: decodeURIComponent, told that a lone % stands for itself. */
function decode(text: string): string | null {
  try {
    return decodeURIComponent(text.replaceAll(/%(?![0-9A-Fa-f]{2})/g, '%25'));
  } catch {
    return null;
  }
}

function naiveQuery(query: string): [string, string][] | null {
  const pairs: [string, string][] = [];
  for (const pair of query.split('&').filter((text) => text !== '')) {
    const [name, ...value] = pair.split('=').map((part) => part.split('+').join(' '));
    const decoded = [decode(name as string), decode(value.join('='))];
    if (decoded[0] === null || decoded[1] === null) return null;
    pairs.push(decoded as [string, string]);
  }
  return pairs;
}

const piece = fc.constantFrom(
  'a',
  'limit',
  '=',
  '&',
  '+',
  '%',
  '%2',
  '%zz',
  '%20',
  '%25',
  '%26',
  '%3D',
  '%3d',
  '%2B',
  '%c3%a4',
  '%C3',
  '%80',
  '%F0%9F%98%80',
  '%ED%A0%80',
  '%00',
  '%2F',
  'ä',
  '😀',
  '/',
  '?',
  '%EF%BB%BF',
  '.',
  '%2e',
);
const encoded = fc.array(piece, { maxLength: 10 }).map((pieces) => pieces.join(''));

function refusal(run: () => unknown): ProblemError {
  try {
    run();
  } catch (error) {
    if (error instanceof ProblemError) return error;
    throw error;
  }
  throw new Error('was not refused');
}

describe('decoding', () => {
  test('HTTP-10 once, and strictly as UTF-8', () => {
    fc.assert(
      fc.property(encoded, (text) => {
        expect(percentDecode(text)).toBe(decode(text));
      }),
      { numRuns: 2000 },
    );
    expect(percentDecode('%2541')).toBe('%41');
    expect(percentDecode('50%')).toBe('50%');
    expect(percentDecode('%C3%28')).toBeNull();
    expect(percentDecode('a+b')).toBe('a+b');
  });

  test('HTTP-10 a text of any length', () => {
    const long = 'a'.repeat(300_000);
    expect(percentDecode(`%41${long}`)).toBe(`A${long}`);
    expect(percentDecode('%41'.repeat(300_000))).toBe('A'.repeat(300_000));
  });

  test('HTTP-10 each segment comes out in one spelling, and keeps its slashes', () => {
    expect(canonicalPath('/v1/cells/a%2Fb')).toBe('/v1/cells/a%2Fb');
    expect(canonicalPath('/v1/cells/a%2fb%41')).toBe('/v1/cells/a%2FbA');
    expect(canonicalPath('/v1/cells/%252F')).toBe('/v1/cells/%252F');
    expect(canonicalPath('/%76%31/cells')).toBe('/v1/cells');
    expect(canonicalPath('/v1/cells/50%')).toBe('/v1/cells/50%25');
    expect(canonicalPath('/v1/cells/%FF')).toBeNull();
    fc.assert(
      fc.property(encoded, (path) => {
        const decoded = path.split('/').map(decode);
        const canonical = canonicalPath(path);
        expect(canonical?.split('/').map(decode) ?? null).toEqual(decoded.includes(null) ? null : decoded);
      }),
      { numRuns: 1000 },
    );
  });

  test('HTTP-5 the path of a URL is what stands before its query', () => {
    expect(rawPathOf(`${BASE}/v1/cells?x=/y`)).toBe('/v1/cells');
    expect(rawPathOf(`${BASE}/v1/cells/#x`)).toBe('/v1/cells/');
    expect(rawPathOf(`${BASE}//v1//cells`)).toBe('//v1//cells');
    expect(rawPathOf(BASE)).toBe('/');
  });
});

describe('queries', () => {
  test('HTTP-11 agree with an independent reading', () => {
    fc.assert(
      fc.property(encoded, (query) => {
        const expected = naiveQuery(query);
        const read = () => parseQuery(`${BASE}/v1/events?${query}`);
        if (expected === null) expect(refusal(read).status).toBe(400);
        else expect(read()).toEqual(expected);
      }),
      { numRuns: 2000 },
    );
  });

  test('HTTP-11 empty pairs are ignored', () => {
    expect(parseQuery(`${BASE}/p`)).toEqual([]);
    expect(parseQuery(`${BASE}/p?`)).toEqual([]);
    expect(parseQuery(`${BASE}/p?&&a=1&&b&c=&`)).toEqual([
      ['a', '1'],
      ['b', ''],
      ['c', ''],
    ]);
  });

  test('HTTP-11 what stands behind a # is no query', () => {
    expect(parseQuery(`${BASE}/p?a=1#b?c=2`)).toEqual([['a', '1']]);
    expect(parseQuery(`${BASE}/p#b?c=2`)).toEqual([]);
  });

  test('HTTP-13 a known parameter given twice is refused by its name, also when spelled in two ways', () => {
    for (const query of ['limit=1&limit=1', 'limit=1&%6Cimit=2', 'limit&limit']) {
      const { status, code, message } = refusal(() => queryParameters(`${BASE}/p?${query}`, ['limit']));
      expect([status, code]).toEqual([400, 'bad-request']);
      expect(message).toContain('limit');
    }
  });

  test('HTTP-13 an unknown one may be given twice, unless unknown ones are refused', () => {
    const url = `${BASE}/p?x=1&x=2&limit=3&__proto__=4&constructor=5`;
    expect(queryParameters(url, ['limit', 'state'])).toEqual({ limit: '3' });
    expect(refusal(() => queryParameters(url, ['limit'], { strict: true })).message).toContain('"x"');
  });

  test('HTTP-34 names are compared letter by letter', () => {
    expect(queryParameters(`${BASE}/p?Limit=3`, ['limit'])).toEqual({});
    expect(refusal(() => queryParameters(`${BASE}/p?Limit=3`, ['limit'], { strict: true })).status).toBe(400);
    for (const name of ['__proto__', 'constructor', 'toString']) {
      const refused = refusal(() => queryParameters(`${BASE}/p?${name}=3`, ['limit'], { strict: true }));
      expect(refused.message).toContain(name);
    }
  });
});

describe('integers', () => {
  test.each([
    ['0', 0],
    ['1', 1],
    ['007', 7],
    ['9007199254740991', 9007199254740991],
    ['9007199254740992', 9007199254740991],
    ['18446744073709551615', 9007199254740991],
    [`${'0'.repeat(5000)}12`, 12],
  ])('HTTP-12 %s', (text, value) => {
    expect(parseUnsigned('since', text)).toBe(value);
  });

  test.each([
    '',
    ' ',
    '-1',
    '+1',
    '1.0',
    '1e3',
    '0x10',
    '1_000',
    ' 1',
    '1\n',
    '٣',
    '１',
    'NaN',
    '18446744073709551616',
    '9'.repeat(10_000),
  ])('HTTP-12 not %j', (text) => {
    const { status, message } = refusal(() => parseUnsigned('since', text));
    expect(status).toBe(400);
    expect(message).toContain('"since"');
    expect(message.length).toBeLessThan(300);
  });

  test('LOG-9 every unsigned 64-bit integer is taken', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), (value) => {
        const most = BigInt(Number.MAX_SAFE_INTEGER);
        expect(BigInt(parseUnsigned('since', String(value)))).toBe(value < most ? value : most);
      }),
    );
  });
});
