import { beforeEach, describe, expect, test } from 'vitest';

import type { Principal } from '../src/auth.ts';
import { FailedLogins, sourceOf } from '../src/failed-logins.ts';
import { FAILED_LOGINS_BURST, MAX_LOGIN_ADDRESSES } from '../src/limits.ts';

const ALICE: Principal = { operator: 'alice', access: 'full' };
const BOB: Principal = { operator: 'bob', access: 'read' };
const HERE = '192.0.2.1';

describe('the budget of an address', () => {
  let now: number;
  let logins: FailedLogins;
  beforeEach(() => {
    now = 1_000_000;
    logins = new FailedLogins({ now: () => now });
  });

  const failures = (address: string, count: number) => {
    let admitted = 0;
    for (let n = 0; n < count; n++) {
      if (!logins.admits(address, null)) continue;
      logins.failed(address);
      admitted++;
    }
    return admitted;
  };

  test('HTTP-72 a hundred at once, then one a second', () => {
    expect(failures(HERE, 1000)).toBe(FAILED_LOGINS_BURST);
    now += 999;
    expect(failures(HERE, 10)).toBe(0);
    now += 1;
    expect(failures(HERE, 10)).toBe(1);
    now += 10_000;
    expect(failures(HERE, 100)).toBe(10);
    now += 3_600_000;
    expect(failures(HERE, 1000)).toBe(FAILED_LOGINS_BURST);
  });

  test('HTTP-72 each address has its own', () => {
    expect(failures(HERE, 1000)).toBe(FAILED_LOGINS_BURST);
    expect(failures('192.0.2.2', 1000)).toBe(FAILED_LOGINS_BURST);
    expect(failures('2001:db8::1', 60) + failures('2001:db8::ffff:2', 60)).toBe(FAILED_LOGINS_BURST);
    expect(failures('2001:db8:0:1::1', 60)).toBe(60);
  });

  test('HTTP-72 over it nobody is told whether a token is right, but for who has been here with it', () => {
    expect(logins.admits(HERE, ALICE)).toBe(true);
    failures(HERE, 1000);
    expect(logins.admits(HERE, ALICE)).toBe(true);
    expect(logins.admits(HERE, BOB)).toBe(false);
    expect(logins.admits(HERE, null)).toBe(false);
    expect(logins.admits('192.0.2.2', BOB)).toBe(true);
    now += 1000;
    expect(logins.admits(HERE, BOB)).toBe(true);
    failures(HERE, 1);
    expect(logins.admits(HERE, BOB)).toBe(true);
  });

  test('HTTP-72 good requests cost nothing', () => {
    for (let n = 0; n < 1000; n++) expect(logins.admits(HERE, ALICE)).toBe(true);
    expect(failures(HERE, 1000)).toBe(FAILED_LOGINS_BURST);
  });

  test('HTTP-72 a clock that is set back neither gives nor takes', () => {
    failures(HERE, 1000);
    now -= 3_600_000;
    expect(failures(HERE, 10)).toBe(0);
    now += 1000;
    expect(failures(HERE, 10)).toBe(1);
  });

  test('HTTP-72 any number of addresses that fail makes it forget none that is good, nor those that fail on', () => {
    logins.admits(HERE, ALICE);
    failures(HERE, 1000);
    for (let n = 0; n < 3 * MAX_LOGIN_ADDRESSES; n++) {
      logins.failed(`2001:db8:${(n >> 8).toString(16)}:${(n & 255).toString(16)}::1`);
      if (n % 1000 === 0) expect(logins.admits(HERE, null)).toBe(false);
    }
    expect(logins.admits(HERE, ALICE)).toBe(true);
  });
});

test.each([
  ['127.0.0.1', '127.0.0.1'],
  ['::ffff:192.0.2.1', '192.0.2.1'],
  ['::FFFF:192.0.2.1', '192.0.2.1'],
  ['0:0:0:0:0:ffff:192.0.2.1', '192.0.2.1'],
  ['::1', '0:0:0:0::/64'],
  ['::', '0:0:0:0::/64'],
  ['2001:db8::1', '2001:db8:0:0::/64'],
  ['2001:DB8:0:0:1:2:3:4', '2001:db8:0:0::/64'],
  ['2001:0db8:0000:0000::5', '2001:db8:0:0::/64'],
  ['2001:db8:1::', '2001:db8:1:0::/64'],
  ['2001:db8::3:4:5:6:7', '2001:db8:0:3::/64'],
  ['2001:db8:1:2::', '2001:db8:1:2::/64'],
  ['fe80::1%eth0', 'fe80:0:0:0::/64'],
])('HTTP-72 %s counts as %s', (address, source) => {
  expect(sourceOf(address)).toBe(source);
});
