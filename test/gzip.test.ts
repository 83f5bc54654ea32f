import { describe, expect, test } from 'vitest';

import { gunzip, gzip } from '../src/gzip.ts';
import { encodeUtf8 } from '../src/utf8.ts';

describe('compression', () => {
  test('CKP-22 gives back what it was given', async () => {
    for (const text of ['', 'a', 'x'.repeat(3_000_000), '{"a":1.0}'.repeat(10_000)]) {
      const packed = await gzip(encodeUtf8(text));
      expect(await gunzip(packed, 4_000_000)).toEqual(encodeUtf8(text));
      if (text.length > 1000) expect(packed.byteLength).toBeLessThan(text.length / 100);
    }
  });

  test('CKP-26 what is something else, cut off or too large is refused', async () => {
    const packed = await gzip(encodeUtf8('x'.repeat(1000)));
    await expect(gunzip(packed, 999)).rejects.toThrow('more than 999');
    await expect(gunzip(packed, 1000)).resolves.toHaveLength(1000);
    await expect(gunzip(packed.slice(0, -9), 2000)).rejects.toThrow();
    await expect(gunzip(encodeUtf8('{"format":1}'), 2000)).rejects.toThrow();
    await expect(gunzip(new Uint8Array(), 2000)).rejects.toThrow();
  });
});
