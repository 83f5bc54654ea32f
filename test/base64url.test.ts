import * as fc from 'fast-check';
import { expect, test } from 'vitest';

import { fromBase64url, toBase64url } from '../src/base64url.ts';

test('SIG-6 base64url: what was written is read, and nothing else', () => {
  expect(toBase64url(Uint8Array.of(251, 255, 254, 1))).toBe('-__-AQ');
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 70 }), (bytes) => {
      expect(fromBase64url(toBase64url(bytes))).toEqual(new Uint8Array(bytes));
    }),
  );
  fc.assert(
    fc.property(fc.string({ unit: fc.constantFrom(...'AQgw_-z09+/= \u00e9'), maxLength: 9 }), (text) => {
      const bytes = fromBase64url(text);
      if (bytes !== null) expect(toBase64url(bytes)).toBe(text);
    }),
  );
  for (const text of ['A', 'AB', 'AAB', 'AA==', 'AA+', 'AA/A', 'A A', '\u0141AAA', 'AAAAA']) {
    expect(fromBase64url(text), text).toBeNull();
  }
});
