import { describe, expect, test } from 'vitest';

import { type AccessConfig } from '../src/access-config.ts';
import { createAccess } from '../src/access.ts';
import { FEED_PROTOCOL } from '../src/auth.ts';
import { FAILED_LOGINS_BURST } from '../src/limits.ts';
import { accessToken } from './support/access.ts';

const WRITER = accessToken('writes', 'alice');
const READER = accessToken('reads', 'dashboard', 'read');
const HERE = '192.0.2.1';
const CLOCK = { now: () => 0 };

const create = (allowedOrigins: AccessConfig['allowedOrigins'] = null) =>
  createAccess({ tokens: [WRITER, READER], allowedOrigins }, CLOCK);

interface Asked {
  readonly method?: string;
  readonly token?: string | null;
  readonly headers?: Readonly<Record<string, string>>;
  readonly isFeed?: boolean;
  readonly address?: string | null;
}

/** Who was let in, or the status of the refusal, and whose token that was. */
function ask(access: ReturnType<typeof create>, asked: Asked = {}): string {
  const { method = 'GET', token = 'writes', headers = {}, isFeed = false, address = HERE } = asked;
  const authorization = token === null ? {} : { authorization: `Bearer ${token}` };
  const request = new Request('http://localhost/', { method, headers: { ...headers, ...authorization } });
  const { principal, refusal } = access.admit(request, isFeed, address);
  const operator = principal?.operator ?? 'nobody';
  return refusal === null ? operator : `${refusal.status} ${operator}`;
}

describe('tokens that read', () => {
  test('HTTP-71 they read', () => {
    for (const method of ['GET', 'HEAD']) expect(ask(create(), { token: 'reads', method })).toBe('dashboard');
    expect(ask(create(), { token: 'reads', isFeed: true })).toBe('dashboard');
  });

  test.each(['POST', 'DELETE', 'PUT', 'PATCH', 'QUERY', 'get'])('HTTP-71 no %s', (method) => {
    expect(ask(create(), { token: 'reads', method })).toBe(method === 'get' ? 'dashboard' : '403 dashboard');
    expect(ask(create(), { method })).toBe('alice');
  });

  test('HTTP-71 the refusal names the method and no secret', () => {
    const request = new Request('http://localhost/', {
      method: 'DELETE',
      headers: { authorization: 'Bearer reads' },
    });
    const { refusal } = create().admit(request, false, HERE);
    expect(refusal?.code).toBe('forbidden');
    expect(refusal?.message).toBe('this token is for reading: DELETE is not allowed with it');
  });
});

describe('origins', () => {
  const allowed = new Set(['https://ui.example', 'null']);
  const from = (origin: string): Asked => ({ headers: { origin } });

  test('HTTP-73 without a list any will do', () => {
    expect(ask(create(), from('https://evil.example'))).toBe('alice');
  });

  test('HTTP-73 with one, those of it and who has none', () => {
    const access = create(allowed);
    for (const origin of ['https://ui.example', 'https://UI.example', 'https://ui.example:443', 'null'])
      expect(ask(access, from(origin)), origin).toBe('alice');
    expect(ask(access)).toBe('alice');
    for (const origin of [
      'https://evil.example',
      'http://ui.example',
      'https://ui.example:8443',
      'https://ui.example.evil.example',
      'https://ui.example/',
      'https://ui.example, https://evil.example',
      '',
      '*',
    ])
      expect(ask(access, from(origin)), origin).toBe('403 alice');
    expect(ask(access, { ...from('https://evil.example'), isFeed: true })).toBe('403 alice');
  });

  test('HTTP-73 what is not authenticated is told nothing of it', () => {
    expect(ask(create(allowed), { ...from('https://evil.example'), token: null })).toBe('401 nobody');
    expect(ask(create(allowed), { ...from('https://evil.example'), token: 'wrong' })).toBe('401 nobody');
  });
});

describe('failed logins', () => {
  const exhausted = (access = create()) => {
    for (let n = 0; n < FAILED_LOGINS_BURST; n++) expect(ask(access, { token: 'wrong' })).toBe('401 nobody');
    return access;
  };

  test('HTTP-72 over the budget it is 429 with Retry-After, whatever the token', () => {
    const access = exhausted();
    for (const token of ['wrong', 'writes', 'reads', null]) expect(ask(access, { token })).toBe('429 nobody');
    expect(ask(access, { isFeed: true })).toBe('429 nobody');
    expect(ask(access, { address: '192.0.2.2' })).toBe('alice');
    const { refusal } = access.admit(new Request('http://localhost/'), false, HERE);
    expect(refusal?.code).toBe('too-many-requests');
    expect(refusal?.options.headers).toEqual({ 'retry-after': '1' });
  });

  test('HTTP-72 but for a token that was good there', () => {
    const access = create();
    expect(ask(access)).toBe('alice');
    exhausted(access);
    expect(ask(access)).toBe('alice');
    expect(ask(access, { token: 'reads' })).toBe('429 nobody');
  });

  test('HTTP-72 what is refused for another reason than its token was a good login', () => {
    const access = create();
    expect(ask(access, { token: 'reads', method: 'POST' })).toBe('403 dashboard');
    exhausted(access);
    expect(ask(access, { token: 'reads' })).toBe('dashboard');
  });

  test('HTTP-72 who presents nothing guesses nothing', () => {
    const access = create();
    for (let n = 0; n < 2 * FAILED_LOGINS_BURST; n++) expect(ask(access, { token: null })).toBe('401 nobody');
    expect(ask(access)).toBe('alice');
  });

  test('HTTP-72 a guess by subprotocol is one', () => {
    const access = create();
    const guess: Asked = {
      token: null,
      isFeed: true,
      headers: { 'sec-websocket-protocol': `${FEED_PROTOCOL}, cellos.bearer.d3Jvbmc` },
    };
    for (let n = 0; n < FAILED_LOGINS_BURST; n++) expect(ask(access, guess)).toBe('401 nobody');
    expect(ask(access, guess)).toBe('429 nobody');
  });

  test('HTTP-72 where nobody knows the address nothing is limited', () => {
    const access = create();
    for (let n = 0; n < 2 * FAILED_LOGINS_BURST; n++)
      expect(ask(access, { token: 'wrong', address: null })).toBe('401 nobody');
  });
});
