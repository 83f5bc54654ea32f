import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import {
  createAuthenticator,
  FEED_PROTOCOL,
  offeredProtocols,
  presentsToken,
  tokenSpellings,
} from '../src/auth.ts';
import { encodeUtf8 } from '../src/utf8.ts';
import { accessToken } from './support/access.ts';

const TOKEN = 's3cret';

/** What a server gets: one character per byte. */
const bytesOf = (text: string) => Array.from(encodeUtf8(text), (byte) => String.fromCharCode(byte)).join('');
const bearer = (value: string) => new Headers({ authorization: value });
/** The same of any value: workerd warns of what is not ASCII, with all of it. */
const headersOf = (name: string, value: string) =>
  ({ get: (asked: string) => (asked === name ? value : null) }) as unknown as Headers;
const authenticatorOf = (token: string) => createAuthenticator([accessToken(token)]);
const accepts = (authorization: string, token = TOKEN) =>
  authenticatorOf(token).request(bearer(authorization)) !== null;

const base64url = (text: string) =>
  btoa(bytesOf(text)).replaceAll('+', '-').replaceAll('/', '_').replace(/=+$/, '');
const offering = (...protocols: string[]) => new Headers({ 'sec-websocket-protocol': protocols.join(', ') });
const upgrades = (headers: Headers, token = TOKEN) => authenticatorOf(token).upgrade(headers) !== null;

describe('the header', () => {
  test('HTTP-1 the token, and only that', () => {
    expect(accepts(`Bearer ${TOKEN}`)).toBe(true);
    expect(authenticatorOf(TOKEN).request(new Headers())).toBeNull();
    const { token, principal } = accessToken(TOKEN, 'me', 'read');
    const authenticator = createAuthenticator([{ token, principal }]);
    expect(authenticator.request(bearer(`Bearer ${TOKEN}`))).toBe(principal);
  });

  test.each([
    '',
    'Bearer',
    'Bearer ',
    TOKEN,
    `bearer ${TOKEN}`,
    `BEARER ${TOKEN}`,
    `Bearer  ${TOKEN}`,
    `Bearer\t${TOKEN}`,
    `Bearer:${TOKEN}`,
    `Bearer${TOKEN}`,
    `Token ${TOKEN}`,
    `Basic ${btoa(TOKEN)}`,
    `Bearer ${TOKEN}x`,
    `Bearer x${TOKEN}`,
    `Bearer ${TOKEN.slice(1)}`,
    `Bearer ${TOKEN.slice(0, -1)}`,
    `Bearer ${TOKEN}${TOKEN}`,
    `Bearer ${TOKEN.toUpperCase()}`,
    `Bearer "${TOKEN}"`,
    `Bearer ${TOKEN}, Bearer ${TOKEN}`,
    `Bearer ${TOKEN} x`,
  ])('HTTP-1 not %j', (value) => {
    expect(accepts(value)).toBe(false);
  });

  test('HTTP-1 two headers are not one', () => {
    const headers = bearer(`Bearer ${TOKEN}`);
    headers.append('authorization', `Bearer ${TOKEN}`);
    expect(authenticatorOf(TOKEN).request(headers)).toBeNull();
  });

  // Header values arrive as one character per byte, or decoded as UTF-8.
  describe.each<[string, (text: string) => string]>([
    ['one character per byte', bytesOf],
    ['decoded', (text) => text],
  ])('HTTP-1 a token outside of ASCII, %s', (_how, arriving) => {
    // What `Headers` may hold differs with the runtime; the authenticator only reads.
    const takes = (presented: string, token: string) => {
      const authenticator = authenticatorOf(token);
      const headers = headersOf('authorization', `Bearer ${arriving(presented)}`);
      const principals = [authenticator.request(headers), authenticator.upgrade(headers)];
      expect(principals[0]).toBe(principals[1]);
      return principals[0] !== null;
    };

    test.each(['pässwörd-😀', 'ä', '\u0080', 'ÿ', '日本語', 'a\u0301', 'Ã¤'])('HTTP-1 %j', (token) => {
      expect(takes(token, token)).toBe(true);
      const others = [`${token}x`, `x${token}`, token.slice(0, -1), `${token}${token}`, 'secret', 'Ä', ''];
      for (const other of others) expect(takes(other, token)).toBe(false);
    });

    test('HTTP-1 nothing that only looks alike', () => {
      expect(takes('é'.normalize('NFD'), 'é')).toBe(false);
      expect(takes('\u00e4'.normalize('NFD'), 'ä')).toBe(false);
      expect(takes('日本', '日本語')).toBe(false);
      // No character's low byte stands for it.
      expect(takes('\u0161\u0165', 'ae')).toBe(false);
    });

    test('HTTP-1 exactly when it is the token', () => {
      const text = fc.string({ unit: 'binary', minLength: 1, maxLength: 8 });
      fc.assert(
        fc.property(text, text, (one, other) => {
          expect(takes(one, one)).toBe(true);
          // What arrives in bytes may read as another text: both spellings of the token are the token.
          if (bytesOf(one) !== other && bytesOf(other) !== one) expect(takes(other, one)).toBe(other === one);
        }),
        { numRuns: 300 },
      );
    });
  });

  test('HTTP-1 accepts a text exactly when it is the token', () => {
    const token = fc.stringMatching(/^[!-~]{1,12}$/);
    fc.assert(
      fc.property(token, token, (one, other) => {
        expect(accepts(`Bearer ${one}`, one)).toBe(true);
        expect(accepts(`Bearer ${other}`, one)).toBe(other === one);
        // A comparison that repeats the shorter one must not take a repetition for the token.
        expect(accepts(`Bearer ${one}${one}`, one)).toBe(false);
        expect(accepts(`Bearer ${one}`, `${one}${one}`)).toBe(false);
      }),
      { numRuns: 300 },
    );
  });
});

describe('the subprotocol', () => {
  test('FEED-16 base64url of the token beside the feed protocol', () => {
    expect(FEED_PROTOCOL).toBe('cellos.v1');
    expect(upgrades(offering(FEED_PROTOCOL, `cellos.bearer.${base64url(TOKEN)}`))).toBe(true);
    expect(upgrades(offering(`cellos.bearer.${base64url(TOKEN)}`, FEED_PROTOCOL))).toBe(true);
    expect(upgrades(bearer(`Bearer ${TOKEN}`))).toBe(true);
    expect(upgrades(new Headers())).toBe(false);
  });

  test.each([
    [FEED_PROTOCOL],
    [FEED_PROTOCOL, base64url(TOKEN)],
    [FEED_PROTOCOL, `cellos.bearer.${TOKEN}`],
    [FEED_PROTOCOL, 'cellos.bearer.'],
    [FEED_PROTOCOL, `cellos.bearer.${base64url('other')}`],
    [FEED_PROTOCOL, `Cellos.Bearer.${base64url(TOKEN)}`],
    [FEED_PROTOCOL, `cellos.bearer.${base64url(TOKEN)}=`],
  ])('FEED-16 not %s %s', (...protocols) => {
    expect(upgrades(offering(...protocols))).toBe(false);
  });

  test('FEED-16 is for upgrades only', () => {
    const headers = offering(FEED_PROTOCOL, `cellos.bearer.${base64url(TOKEN)}`);
    expect(authenticatorOf(TOKEN).request(headers)).toBeNull();
  });

  test('FEED-16 a token of any bytes, the characters that base64 has and base64url has not included', () => {
    for (const token of ['ä😀', '>>>???', '~~~', 'a', 'ab', 'abc']) {
      expect(upgrades(offering(FEED_PROTOCOL, `cellos.bearer.${base64url(token)}`), token)).toBe(true);
    }
  });

  test('FEED-16 offers are read in order, empty ones ignored', () => {
    expect(offeredProtocols(new Headers({ 'sec-websocket-protocol': ' a ,b,, cellos.v1 ' }))).toEqual([
      'a',
      'b',
      'cellos.v1',
    ]);
    expect(offeredProtocols(new Headers())).toEqual([]);
  });
});

describe('several tokens', () => {
  const texts = fc.uniqueArray(fc.stringMatching(/^[!-~äÿ日]{1,12}$/), { minLength: 1, maxLength: 12 });

  test('HTTP-70 each is known by its own bearer, in the header and as a subprotocol, and nothing else is', () => {
    fc.assert(
      fc.property(texts, fc.stringMatching(/^[!-~]{1,12}$/), (tokens, other) => {
        const known = new Set(tokens.flatMap(tokenSpellings));
        fc.pre(known.size === tokens.flatMap(tokenSpellings).length);
        const all = tokens.map((token, index) => accessToken(token, `bearer ${index}`));
        const { request, upgrade } = createAuthenticator(all);
        for (const { token, principal } of all) {
          expect(request(headersOf('authorization', `Bearer ${bytesOf(token)}`))).toBe(principal);
          const browser = offering(FEED_PROTOCOL, `cellos.bearer.${base64url(token)}`);
          expect(upgrade(browser)).toBe(principal);
          expect(request(browser)).toBeNull();
        }
        if (known.has(other)) return;
        expect(request(bearer(`Bearer ${other}`))).toBeNull();
        expect(upgrade(offering(FEED_PROTOCOL, `cellos.bearer.${base64url(other)}`))).toBeNull();
      }),
      { numRuns: 200 },
    );
  });

  test('HTTP-70 no part of one, and no mixture of two', () => {
    const { request } = createAuthenticator(
      ['abcdef', 'ABCDEF', 'abc', 'x'].map((token) => accessToken(token)),
    );
    for (const token of [
      'abcd',
      'abcDEF',
      'ABCdef',
      'ab',
      'xx',
      'abcabc',
      'abcdefabcdef',
      '',
      'X',
      'abcdef ABCDEF',
    ])
      expect(request(bearer(`Bearer ${token}`)), token).toBeNull();
    expect(request(bearer('bearer abc'))).toBeNull();
    expect(request(bearer('abc'))).toBeNull();
  });

  test('FEED-16 a handshake is one try', () => {
    const bearers = ['wrong', TOKEN].map((token) => `cellos.bearer.${base64url(token)}`);
    expect(upgrades(offering(FEED_PROTOCOL, ...bearers))).toBe(false);
    expect(upgrades(offering(FEED_PROTOCOL, bearers[1] as string, 'another'))).toBe(true);
  });
});

test('HTTP-72 what tries to log in', () => {
  for (const value of ['Bearer x', 'Basic eA==', 'x']) expect(presentsToken(bearer(value))).toBe(true);
  expect(presentsToken(offering(FEED_PROTOCOL, 'cellos.bearer.'))).toBe(true);
  expect(presentsToken(offering(FEED_PROTOCOL))).toBe(false);
  expect(presentsToken(new Headers())).toBe(false);
});
