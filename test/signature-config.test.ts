// The CELLOS_EVENT_* variables as a checked value, and what is said of those that do not fit.
import { describe, expect, test } from 'vitest';

import { type ConfigCapabilities, ConfigError, parseConfig } from '../src/config.ts';
import { MAX_KEYS } from '../src/limits.ts';
import type { SignatureConfig } from '../src/signature-config.ts';
import { KEYS, SIGNING_KEY, VERIFY_KEYS } from './support/signing.ts';

const SECRET = 'SUSECRET';
const KEY = 'A'.repeat(43);

const FILES: Readonly<Record<string, string>> = {
  '/keys.json': ` ${VERIFY_KEYS}\n`,
  '/broken': `{"a":"${SECRET}`,
};
const readTextFile = (path: string) => {
  const text = FILES[path];
  if (text === undefined) throw Object.assign(new Error(`no ${path}`), { code: 'ENOENT' });
  return text;
};

function signatures(
  environment: Readonly<Record<string, string>>,
  capabilities: ConfigCapabilities = { tcp: false, readTextFile },
): SignatureConfig {
  return parseConfig({ CELLOS_SERVER_API_TOKEN: 'token', ...environment }, capabilities).signatures;
}

/** The variable that it is about; nothing of what it holds is repeated. */
function refusedFor(
  environment: Readonly<Record<string, string>>,
  capabilities?: ConfigCapabilities,
): string {
  try {
    signatures(environment, capabilities);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    expect(error.message.startsWith(`${error.variable} `)).toBe(true);
    expect(error.message).not.toContain(SECRET);
    expect(error.message.length).toBeLessThan(300);
    return error.message;
  }
  throw new Error('was accepted');
}

describe('CFG-30 CELLOS_EVENT_VERIFY_KEYS', () => {
  test('none, blank, and keys of both kinds, padded or not', () => {
    for (const text of [undefined, '', ' \n']) {
      expect(signatures(text === undefined ? {} : { CELLOS_EVENT_VERIFY_KEYS: text }).verifyKeys).toBeNull();
    }
    const { verifyKeys } = signatures({
      CELLOS_EVENT_VERIFY_KEYS: `{"a":"${KEY}=","b":"hmac-sha256:AAE","":null,"__proto__":"${KEY}"}`.replace(
        ',"":null',
        '',
      ),
    });
    expect(
      [...(verifyKeys ?? [])].map(([kid, { algorithm, bytes }]) => [kid, algorithm, bytes.byteLength]),
    ).toEqual([
      ['a', 'ed25519', 32],
      ['b', 'hmac-sha256', 2],
      ['__proto__', 'ed25519', 32],
    ]);
  });

  test.each([
    SECRET,
    `"${SECRET}"`,
    '[]',
    'null',
    `{"a":"${KEY}"`,
    '{}',
    `{"a":"${KEY}","a":"${KEY}"}`,
    `{"a":"${KEY}","\\u0061":"${KEY}"}`,
    `{"a":"${SECRET}"}`,
    `{"a":"${KEY}A"}`,
    `{"a":"${KEY.slice(1)}"}`,
    `{"a":"${KEY.slice(1)}B"}`,
    `{"a":"${KEY.slice(1)}+"}`,
    `{"a":["${SECRET}"]}`,
    '{"a":null}',
    '{"a":"hmac-sha256:"}',
    `{"a":"hmac-sha256:${SECRET}!"}`,
    `{"a":"hmac:${SECRET}"}`,
    `{"":"${KEY}"}`,
    `{"${'x'.repeat(201)}":"${KEY}"}`,
    `{"${SECRET}":"k1"}`,
    JSON.stringify(Object.fromEntries(Array.from({ length: MAX_KEYS + 1 }, (_, at) => [`k${at}`, KEY]))),
  ])('CFG-9 CFG-30 what cannot be loaded ends the start: %s', (text) => {
    expect(refusedFor({ CELLOS_EVENT_VERIFY_KEYS: text })).toMatch(/^CELLOS_EVENT_VERIFY_KEYS /);
  });

  test('CFG-30 as many as there may be', () => {
    const keys = Object.fromEntries(Array.from({ length: MAX_KEYS }, (_, at) => [`k${at}`, KEY]));
    expect(signatures({ CELLOS_EVENT_VERIFY_KEYS: JSON.stringify(keys) }).verifyKeys?.size).toBe(MAX_KEYS);
  });
});

describe('CFG-31 CELLOS_EVENT_VERIFY_KEYS_PATH', () => {
  const path = (text: string) => ({ CELLOS_EVENT_VERIFY_KEYS_PATH: text });

  test('a file that holds the same', () => {
    expect(signatures(path('/keys.json'))).toEqual(signatures({ CELLOS_EVENT_VERIFY_KEYS: VERIFY_KEYS }));
  });

  test('CFG-9 what cannot be read or understood ends the start', () => {
    expect(refusedFor(path('/none'))).toContain('ENOENT');
    expect(refusedFor(path(`{"a":"${SECRET}"}`))).toMatch(/^CELLOS_EVENT_VERIFY_KEYS_PATH /);
    expect(refusedFor(path('/broken'))).toMatch(/^CELLOS_EVENT_VERIFY_KEYS_PATH /);
    expect(refusedFor(path('/keys.json'), { tcp: false })).toContain('CELLOS_EVENT_VERIFY_KEYS takes');
    const both = { ...path('/keys.json'), CELLOS_EVENT_VERIFY_KEYS: VERIFY_KEYS };
    expect(refusedFor(both)).toContain('one set');
  });
});

describe('CFG-32 CELLOS_EVENT_SIGNING_KEY', () => {
  test('an id, a colon, a seed; the id may hold colons', () => {
    for (const [text, kid] of [
      [SIGNING_KEY, 'server-1'],
      [` urn:x:y:${KEY}= `, 'urn:x:y'],
    ] as const) {
      const { signingKey, verifyKeys, requireSigned } = signatures({ CELLOS_EVENT_SIGNING_KEY: text });
      expect([signingKey?.kid, signingKey?.seed.byteLength]).toEqual([kid, 32]);
      expect([verifyKeys, requireSigned]).toEqual([null, false]);
    }
  });

  test.each([
    SECRET,
    `k:${SECRET}`,
    `:${KEY}`,
    `k:${KEY}A`,
    `${KEY}`,
    `k ${KEY}`,
    'k:',
    `${'x'.repeat(201)}:${KEY}`,
  ])('CFG-9 anything else ends the start: %s', (text) => {
    expect(refusedFor({ CELLOS_EVENT_SIGNING_KEY: text })).toMatch(/^CELLOS_EVENT_SIGNING_KEY /);
  });
});

describe('CFG-33 CELLOS_EVENT_REQUIRE_SIGNED', () => {
  const required = (text: string, more = {}) => ({ CELLOS_EVENT_REQUIRE_SIGNED: text, ...more });

  test('1, true, yes, on; 0, false, no, off; nothing else', () => {
    for (const text of ['1', 'true', 'yes', 'on', ' ON ', 'True', 'YES']) {
      expect(signatures(required(text, { CELLOS_EVENT_SIGNING_KEY: SIGNING_KEY })).requireSigned).toBe(true);
    }
    for (const text of ['0', 'false', 'no', 'Off', '', ' ']) {
      expect(signatures(required(text)).requireSigned).toBe(false);
    }
    for (const text of ['signed', '11', 'enabled', 'tru', 'y']) {
      expect(refusedFor(required(text))).toMatch(/^CELLOS_EVENT_REQUIRE_SIGNED is none of/);
    }
  });

  test('no start without a key to sign with', () => {
    expect(refusedFor(required('1'))).toMatch(/^CELLOS_EVENT_SIGNING_KEY .*CELLOS_EVENT_REQUIRE_SIGNED/);
    const keys = { CELLOS_EVENT_VERIFY_KEYS: JSON.stringify(KEYS) };
    expect(refusedFor(required('yes', keys))).toMatch(/^CELLOS_EVENT_SIGNING_KEY /);
  });
});
