import * as fc from 'fast-check';
import { expect, test } from 'vitest';

import { RecentMap } from '../src/recent-map.ts';

test('HTTP-72 never more than it may hold, and what was used lately for certain', () => {
  const CAPACITY = 8;
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.boolean(), fc.integer({ min: 0, max: 20 }))), (uses) => {
      const map = new RecentMap<number>(CAPACITY);
      const latest = new Map<string, number>();
      uses.forEach(([isSet, number], index) => {
        const key = String(number);
        const isFresh = [...latest.keys()].slice(-CAPACITY / 2).includes(key);
        const found = map.get(key);
        expect(found === undefined || found === latest.get(key)).toBe(true);
        if (isFresh) expect(found).toBe(latest.get(key));
        if (isSet) map.set(key, index);
        else if (found === undefined) return;
        const value = isSet ? index : (found as number);
        latest.delete(key);
        latest.set(key, value);
        expect(map.size).toBeLessThanOrEqual(CAPACITY);
      });
    }),
  );
});
