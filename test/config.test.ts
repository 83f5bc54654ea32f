import { describe, expect, test } from 'vitest';

import { ConfigError, type ConfigCapabilities, type Environment, parseConfig } from '../src/config.ts';

const REQUIRED = { CELLOS_SERVER_API_TOKEN: 't0ken-in-secret' };
const CREDENTIALS =
  '-----BEGIN NATS USER JWT-----\neyJ0\n------END NATS USER JWT------\n\n' +
  '-----BEGIN USER NKEY SEED-----\nSUSECRET\n------END USER NKEY SEED------\n';
const NODE: ConfigCapabilities = {
  tcp: true,
  readTextFile: (path) => {
    if (path === '/creds') return CREDENTIALS;
    if (path === '/empty') return '';
    throw Object.assign(new Error(`ENOENT: no such file ${path}`), { code: 'ENOENT' });
  },
};
const WORKER: ConfigCapabilities = { tcp: false };

const config = (environment: Environment = {}, capabilities = NODE) =>
  parseConfig({ ...REQUIRED, ...environment }, capabilities);

function refusal(environment: Environment, capabilities = NODE): ConfigError {
  try {
    config(environment, capabilities);
  } catch (error) {
    if (error instanceof ConfigError) return error;
    throw error;
  }
  throw new Error('was accepted');
}

/** Names its variable, says more than that, and keeps what is secret. */
function expectToName(error: ConfigError, variable: string): void {
  expect(error.variable).toBe(variable);
  expect(error.message.startsWith(`${variable} `)).toBe(true);
  expect(error.message).not.toMatch(/hunter2|t0ken|SUSECRET/);
}

describe('defaults', () => {
  test('CFG-1 to CFG-8 with the token alone', () => {
    expect(config()).toEqual({
      bind: { host: '127.0.0.1', port: 8080 },
      broker: {
        transport: 'websocket',
        servers: ['ws://127.0.0.1:9222'],
        user: null,
        password: null,
        token: null,
        credentials: null,
      },
      replicas: 1,
      access: {
        tokens: [
          {
            token: 't0ken-in-secret',
            principal: { operator: 'bearer-token-operator', access: 'full' },
          },
        ],
        allowedOrigins: null,
      },
      skipReplay: false,
      signatures: { verifyKeys: null, signingKey: null, requireSigned: false },
      checkpoint: { kind: 'off' },
      maxSessions: 10_000,
      ringBytes: null,
      idleMs: 30_000,
      logLevel: 'info',
    });
  });

  test('CFG-6 blank counts as unset', () => {
    const blank = ['CELLOS_SERVER_BIND', 'CELLOS_NATS_URL', 'CELLOS_NATS_CREDS', 'CELLOS_STREAM_REPLICAS'];
    const more = ['CELLOS_SERVER_OPERATOR_ID', 'CELLOS_SERVER_SKIP_REPLAY', 'CELLOS_SERVER_IDLE_SECONDS'];
    const levels = ['RUST_LOG', 'LOG_LEVEL'];
    for (const value of ['', ' ', '\t\n']) {
      expect(config(Object.fromEntries([...blank, ...more, ...levels].map((name) => [name, value])))).toEqual(
        config(),
      );
    }
  });
});

describe('CELLOS_SERVER_API_TOKEN', () => {
  test.each([undefined, '', ' ', '\t \n'])('CFG-5 %j is none', (token) => {
    expectToName(refusal({ CELLOS_SERVER_API_TOKEN: token }), 'CELLOS_SERVER_API_TOKEN');
  });

  test('CFG-5 is kept as it is', () => {
    expect(config({ CELLOS_SERVER_API_TOKEN: 'a b:ä"' }).access.tokens[0]?.token).toBe('a b:ä"');
  });
});

describe('CELLOS_SERVER_BIND', () => {
  test.each([
    ['0.0.0.0:80', '0.0.0.0', 80],
    ['localhost:0', 'localhost', 0],
    ['[::1]:8080', '::1', 8080],
    ['[::]:65535', '::', 65_535],
  ])('CFG-1 %s', (text, host, port) => {
    expect(config({ CELLOS_SERVER_BIND: text }).bind).toEqual({ host, port });
  });

  test.each([
    '8080',
    ':8080',
    'localhost',
    'localhost:',
    'localhost:http',
    '1.2.3.4:65536',
    '::1:80',
    '[::1]',
    'a:-1',
  ])('CFG-1 not %s', (text) => {
    expectToName(refusal({ CELLOS_SERVER_BIND: text }), 'CELLOS_SERVER_BIND');
  });
});

describe('CELLOS_NATS_URL', () => {
  const broker = (url: string, capabilities = NODE) => config({ CELLOS_NATS_URL: url }, capabilities).broker;

  test.each([
    ['ws://broker:9222', 'websocket', ['ws://broker:9222']],
    ['wss://broker', 'websocket', ['wss://broker']],
    ['wss://broker:443/nats?x=1', 'websocket', ['wss://broker/nats?x=1']],
    ['nats://broker:4222', 'tcp', ['nats://broker:4222']],
    ['tls://broker', 'tcp', ['tls://broker']],
    ['ws://[::1]:9222', 'websocket', ['ws://[::1]:9222']],
    ['ws://a:1, wss://b:2 ,', 'websocket', ['ws://a:1', 'wss://b:2']],
    ['nats://a:1,tls://b:2', 'tcp', ['nats://a:1', 'tls://b:2']],
  ])('CFG-2 %s', (url, transport, servers) => {
    expect(broker(url)).toMatchObject({ transport, servers, user: null, password: null, token: null });
  });

  test.each([
    ['ws://me:hunter2@broker:1', { user: 'me', password: 'hunter2', token: null }],
    ['nats://me:hunter2@broker', { user: 'me', password: 'hunter2', token: null }],
    ['ws://hunter2@broker:1', { user: null, password: null, token: 'hunter2' }],
    ['ws://m%40e:p%3Aw%25%C3%A4@broker:1', { user: 'm@e', password: 'p:w%ä', token: null }],
    ['ws://a:1,ws://me:hunter2@b:2', { user: 'me', password: 'hunter2', token: null }],
  ])('CFG-2 who asks: %s', (url, who) => {
    expect(broker(url)).toMatchObject(who);
    expect(broker(url).servers.join()).not.toMatch(/hunter2|me/);
  });

  test.each([
    'broker',
    'broker:4222',
    '//broker',
    'http://broker',
    'mqtt://broker',
    ',',
    'ws://',
    'ws://a:99999',
    'ws://me:hunter2@',
    'http://me:hunter2@broker',
    'ws://me:hunter2@bro ker',
    'ws://me:hun/ter2@broker',
    'ws://a:1,nats://b:1',
    'ws://me:hunter2@a:1,nope',
    'ws://%ff:hunter2@broker',
  ])('CFG-2 CFG-9 not %s', (url) => {
    expectToName(refusal({ CELLOS_NATS_URL: url }), 'CELLOS_NATS_URL');
  });

  test.each(['nats://me:hunter2@broker:4222', 'tls://broker'])(
    'CFG-2 %s where there is no TCP: the message names the websocket listener',
    (url) => {
      const error = refusal({ CELLOS_NATS_URL: url }, WORKER);
      expectToName(error, 'CELLOS_NATS_URL');
      expect(error.message).toMatch(/websocket/i);
      expect(broker('wss://broker', WORKER).transport).toBe('websocket');
    },
  );
});

describe('a runtime that has no broker at hand', () => {
  const remote: ConfigCapabilities = { ...WORKER, brokerRequired: true };

  test.each([undefined, '', ' \t'])('CFG-10 does not start without a broker: %j', (url) => {
    const error = refusal({ CELLOS_NATS_URL: url }, remote);
    expectToName(error, 'CELLOS_NATS_URL');
    expect(error.message).toMatch(/websocket/i);
  });

  test('CFG-10 starts with one', () => {
    expect(config({ CELLOS_NATS_URL: 'wss://broker' }, remote).broker.servers).toEqual(['wss://broker']);
    const local: ConfigCapabilities = { ...WORKER, brokerRequired: false };
    expect(config({}, local).broker.servers).toEqual(['ws://127.0.0.1:9222']);
  });
});

describe('CELLOS_NATS_CREDS', () => {
  test('CFG-3 the text, or the path of a file that has it', () => {
    for (const value of ['/creds', CREDENTIALS]) {
      const { credentials } = config({ CELLOS_NATS_CREDS: value }).broker;
      expect(credentials?.trim()).toBe(CREDENTIALS.trim());
    }
    expect(config({ CELLOS_NATS_CREDS: CREDENTIALS }, WORKER).broker.credentials?.trim()).toBe(
      CREDENTIALS.trim(),
    );
  });

  test.each([
    ['/missing', NODE],
    ['/empty', NODE],
    ['/creds', WORKER],
    [CREDENTIALS.slice(0, 60), NODE],
    [CREDENTIALS.slice(CREDENTIALS.indexOf('-----BEGIN USER')), NODE],
  ])('CFG-3 not %j', (value, capabilities) => {
    expectToName(refusal({ CELLOS_NATS_CREDS: value }, capabilities), 'CELLOS_NATS_CREDS');
  });

  test('CFG-9 a bare seed is not repeated', () => {
    const seed = `SU${'SECRET'.repeat(9)}`;
    for (const capabilities of [NODE, WORKER]) {
      expectToName(refusal({ CELLOS_NATS_CREDS: seed }, capabilities), 'CELLOS_NATS_CREDS');
    }
  });
});

describe('the rest', () => {
  test('CFG-4 replicas: 1 to 5', () => {
    for (const n of [1, 2, 3, 4, 5]) expect(config({ CELLOS_STREAM_REPLICAS: String(n) }).replicas).toBe(n);
    for (const text of ['0', '6', '-1', '1.0', '03', 'three', '1e0', '10']) {
      expectToName(refusal({ CELLOS_STREAM_REPLICAS: text }), 'CELLOS_STREAM_REPLICAS');
    }
  });

  test('CFG-6 the operator is trimmed', () => {
    const { tokens } = config({ CELLOS_SERVER_OPERATOR_ID: ' alice b ' }).access;
    expect(tokens.map(({ principal }) => principal)).toEqual([{ operator: 'alice b', access: 'full' }]);
  });

  test('CFG-7 skipping the replay: 1 or true', () => {
    for (const text of ['1', 'true'])
      expect(config({ CELLOS_SERVER_SKIP_REPLAY: text }).skipReplay).toBe(true);
    for (const text of ['0', 'false', 'yes', 'on', '2', 'truely', '01']) {
      expect(config({ CELLOS_SERVER_SKIP_REPLAY: text }).skipReplay).toBe(false);
    }
  });

  test('CFG-11 seconds without requests and sessions: 1 to 99999', () => {
    for (const seconds of [1, 30, 99_999]) {
      const text = ` ${seconds} `;
      expect(config({ CELLOS_SERVER_IDLE_SECONDS: text }).idleMs).toBe(seconds * 1000);
    }
    for (const text of ['0', '-1', '00', '030', '1.5', '1e3', '100000', '30s', 'never', '٣', '0x10', '+5']) {
      expectToName(refusal({ CELLOS_SERVER_IDLE_SECONDS: text }), 'CELLOS_SERVER_IDLE_SECONDS');
    }
    const long = refusal({ CELLOS_SERVER_IDLE_SECONDS: 'x'.repeat(5000) });
    expect(long.message.length).toBeLessThan(400);
  });

  test('CFG-8 the level: RUST_LOG before LOG_LEVEL', () => {
    expect(config({ RUST_LOG: 'debug' }).logLevel).toBe('debug');
    expect(config({ LOG_LEVEL: 'error' }).logLevel).toBe('error');
    expect(config({ RUST_LOG: 'warn', LOG_LEVEL: 'error' }).logLevel).toBe('warn');
  });
});

describe('CFG-12 CELLOS_SERVER_CHECKPOINT', () => {
  const checkpoint = (text: string, capabilities = NODE) =>
    config({ CELLOS_SERVER_CHECKPOINT: text }, capabilities).checkpoint;

  test('off, nats or a folder', () => {
    expect(checkpoint('off')).toEqual({ kind: 'off' });
    expect(checkpoint('  ')).toEqual({ kind: 'off' });
    expect(checkpoint('nats')).toEqual({ kind: 'nats' });
    expect(checkpoint('file:/var/lib/cellos')).toEqual({ kind: 'file', directory: '/var/lib/cellos' });
    expect(checkpoint('file:a folder: of mine')).toEqual({ kind: 'file', directory: 'a folder: of mine' });
  });

  test.each(['file', 'file:', 'NATS', 'on', '/var/lib/cellos', 'nats://127.0.0.1'])('refuses %j', (text) => {
    const error = refusal({ CELLOS_SERVER_CHECKPOINT: text });
    expectToName(error, 'CELLOS_SERVER_CHECKPOINT');
    expect(error.message).toContain('file:DIR, nats or off');
  });

  test('a runtime that keeps it itself can only be told not to', () => {
    const own = { ...WORKER, ownCheckpoint: true };
    expect(config({}, own).checkpoint).toEqual({ kind: 'own' });
    expect(checkpoint('off', own)).toEqual({ kind: 'off' });
    for (const text of ['nats', 'file:/x', 'on']) {
      expectToName(refusal({ CELLOS_SERVER_CHECKPOINT: text }, own), 'CELLOS_SERVER_CHECKPOINT');
    }
  });
});

test('CFG-13 CELLOS_SERVER_MAX_SESSIONS and CELLOS_SERVER_FEED_RING_BYTES', () => {
  const { maxSessions, ringBytes } = config({
    CELLOS_SERVER_MAX_SESSIONS: ' 5 ',
    CELLOS_SERVER_FEED_RING_BYTES: '0',
  });
  expect([maxSessions, ringBytes]).toEqual([5, 0]);
  for (const text of ['-1', '1.5', '1e3', '16MiB', '99999999999999']) {
    for (const name of ['CELLOS_SERVER_MAX_SESSIONS', 'CELLOS_SERVER_FEED_RING_BYTES']) {
      expectToName(refusal({ [name]: text }), name);
    }
  }
  expectToName(refusal({ CELLOS_SERVER_MAX_SESSIONS: '0' }), 'CELLOS_SERVER_MAX_SESSIONS');
});
