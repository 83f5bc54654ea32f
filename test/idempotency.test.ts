import { describe, expect, test } from 'vitest';

import { idempotencyKeyOf, markOf } from '../src/idempotency.ts';

const REQUEST = { method: 'POST', path: '/v1/formations', body: '{}' };

describe('keys', () => {
  test('OUT-15 are 1 to 255 printable ASCII characters', () => {
    const keyOf = (value: string) => idempotencyKeyOf(new Headers({ 'idempotency-key': value }));
    for (const key of ['k', '"quoted"', 'a b', '~', 'k'.repeat(255)]) expect(keyOf(key)).toBe(key);
    for (const key of ['', 'k'.repeat(256), 'a\tb', 'ä']) expect(() => keyOf(key)).toThrow('Idempotency-Key');
    expect(idempotencyKeyOf(new Headers())).toBeNull();
  });
});

describe('marks', () => {
  test('OUT-15 OUT-16 tell method, path and key, and apart from them the body', async () => {
    const mark = await markOf('k', REQUEST);
    expect(await markOf('k', { ...REQUEST })).toEqual(mark);
    const others = await Promise.all([
      markOf('l', REQUEST),
      markOf('k', { ...REQUEST, method: 'DELETE' }),
      markOf('k', { ...REQUEST, path: '/v1/formations/a' }),
      markOf('formations k', { ...REQUEST, path: '/v1/' }),
    ]);
    expect(new Set([mark, ...others].map(({ key }) => key)).size).toBe(5);
    for (const { request } of others) expect(request).toBe(mark.request);
    const changed = await markOf('k', { ...REQUEST, body: '{ }' });
    expect([changed.key === mark.key, changed.request === mark.request]).toEqual([true, false]);
  });

  test('OUT-15 are SHA-256 in base64url', async () => {
    const { request } = await markOf('k', { ...REQUEST, body: '' });
    expect(request).toBe('47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU');
  });
});
