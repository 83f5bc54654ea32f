import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { type AccessConfig, parseAccess } from '../src/access-config.ts';
import { ConfigError, type Environment } from '../src/environment.ts';
import { MAX_OPERATOR_CHARACTERS } from '../src/limits.ts';

const API_TOKEN = 'CELLOS_SERVER_API_TOKEN';
const API_TOKENS = 'CELLOS_SERVER_API_TOKENS';
const READ_TOKENS = 'CELLOS_SERVER_READ_TOKENS';
const ORIGINS = 'CELLOS_SERVER_ALLOWED_ORIGINS';

/** The files that there are; each other path is none. */
type Files = Readonly<Record<string, string>>;

function access(environment: Environment, files: Files | null = {}): AccessConfig {
  if (files === null) return parseAccess(environment, undefined);
  return parseAccess(environment, (path) => {
    const text = files[path];
    if (text === undefined)
      throw Object.assign(new Error(`ENOENT: no such file ${path}`), { code: 'ENOENT' });
    return text;
  });
}

/** Each bearer as `name/access: token`. */
const bearers = (environment: Environment, files?: Files) =>
  access(environment, files).tokens.map(
    ({ token, principal }) => `${principal.operator}/${principal.access}: ${token}`,
  );

/** The refusal's text: it names the variable and repeats none of the secrets, which all have `s3cr3t` in them. */
function refusal(variable: string, environment: Environment, files?: Files | null): string {
  let message = '';
  try {
    access(environment, files);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    expect(error.variable).toBe(variable);
    ({ message } = error);
  }
  expect(message.startsWith(`${variable} `), message || 'was accepted').toBe(true);
  expect(message).not.toContain('s3cr3t');
  return message;
}

describe('tokens', () => {
  test('CFG-20 names with tokens, in either variable', () => {
    const environment = {
      [API_TOKEN]: ' s3cr3t-0 ',
      CELLOS_SERVER_OPERATOR_ID: 'single',
      [API_TOKENS]: '{"alice": "s3cr3t-1", "Zoë O’Hara/ops": " s3cr3t-2 "}',
      [READ_TOKENS]: '{"dashboard":"s3cr3t-3"}',
    };
    expect(bearers(environment)).toEqual([
      'single/full: s3cr3t-0',
      'alice/full: s3cr3t-1',
      'Zoë O’Hara/ops/full: s3cr3t-2',
      'dashboard/read: s3cr3t-3',
    ]);
  });

  test('CFG-20 one that may write is needed, from any of the variables that give it', () => {
    for (const environment of [{}, { [API_TOKENS]: ' ' }, { [API_TOKENS]: '{}' }])
      expect(refusal(API_TOKEN, environment)).toContain(API_TOKENS);
    refusal(API_TOKEN, { [READ_TOKENS]: '{"dashboard":"s3cr3t"}' });
    expect(bearers({ [API_TOKENS]: '{"alice":"s3cr3t"}' })).toEqual(['alice/full: s3cr3t']);
    const files = { '/token': 's3cr3t', '/tokens': '{"alice":"s3cr3t"}' };
    expect(bearers({ [`${API_TOKEN}_FILE`]: '/token' }, files)).toHaveLength(1);
    expect(bearers({ [`${API_TOKENS}_FILE`]: '/tokens' }, files)).toHaveLength(1);
  });

  test.each([
    's3cr3t',
    '"s3cr3t"',
    '["s3cr3t"]',
    'null',
    '7',
    '{"alice":"s3cr3t"',
    '{"alice":"s3cr3t"} s3cr3t',
    "{'alice':'s3cr3t'}",
    'alice=s3cr3t',
    '{"alice":7}',
    '{"alice":null}',
    '{"alice":["s3cr3t"]}',
    '{"alice":{"token":"s3cr3t"}}',
    '{"alice":""}',
    '{"alice":" \\t"}',
    '{"alice":"s3cr3t\\n1"}',
    '{"alice":"s3cr3t\\u0000"}',
    '{"alice":"s3cr3t\\ud800"}',
    '{"":"s3cr3t"}',
    '{" ":"s3cr3t"}',
    '{"al\\nice":"s3cr3t"}',
    `{"${'a'.repeat(MAX_OPERATOR_CHARACTERS + 1)}":"s3cr3t"}`,
    '{"alice":"s3cr3t-1","alice":"s3cr3t-2"}',
    '{"alice":"s3cr3t-1","\\u0061lice":"s3cr3t-2"}',
  ])('CFG-20 %s', (text) => {
    for (const variable of [API_TOKENS, READ_TOKENS]) {
      refusal(variable, { [API_TOKEN]: 'other', [variable]: text });
      // The same from a file.
      const file = `${variable}_FILE`;
      refusal(file, { [API_TOKEN]: 'other', [file]: '/tokens' }, { '/tokens': text });
    }
  });

  test('CFG-20 a token stands for one bearer', () => {
    const twice = '{"alice":"s3cr3t","bob":"s3cr3t"}';
    for (const name of ['alice', 'bob']) expect(refusal(API_TOKENS, { [API_TOKENS]: twice })).toContain(name);
    refusal(API_TOKENS, { [API_TOKEN]: 's3cr3t', [API_TOKENS]: '{"alice":"s3cr3t"}' });
    refusal(READ_TOKENS, { [API_TOKEN]: 's3cr3t', [READ_TOKENS]: '{"alice":"s3cr3t"}' });
    refusal(READ_TOKENS, { [API_TOKENS]: '{"alice":"s3cr3t"}', [READ_TOKENS]: '{"bob":" s3cr3t"}' });
    // What one arrives as is what the other is.
    refusal(API_TOKENS, { [API_TOKENS]: '{"alice":"s3cr3t-ä","bob":"s3cr3t-Ã¤"}' });
  });

  test('CFG-20 a name stands for one kind of access', () => {
    expect(refusal(READ_TOKENS, { [API_TOKENS]: '{"alice":"a"}', [READ_TOKENS]: '{"alice":"b"}' })).toContain(
      'alice',
    );
    refusal(READ_TOKENS, { [API_TOKEN]: 'a', [READ_TOKENS]: '{"bearer-token-operator":"b"}' });
  });

  test('CFG-20 the single token may be on its way into the list', () => {
    const single = { [API_TOKEN]: 'old', CELLOS_SERVER_OPERATOR_ID: 'alice' };
    expect(bearers({ ...single, [API_TOKENS]: '{"alice":"new"}' })).toEqual([
      'alice/full: old',
      'alice/full: new',
    ]);
    expect(bearers({ ...single, [API_TOKENS]: '{"alice":"old"}' })).toEqual(['alice/full: old']);
  });

  test('CFG-20 any set of names and tokens comes back as it is', () => {
    const texts = fc.stringMatching(/^[!-~]{1,20}$/);
    fc.assert(
      fc.property(
        fc.uniqueArray(fc.tuple(texts, texts), {
          minLength: 1,
          comparator: (a, b) => a[0] === b[0] || a[1] === b[1],
        }),
        (pairs) => {
          // Not JSON.stringify of an object, which would move numbers to the front and lose __proto__.
          const text = `{${pairs.map((pair) => pair.map((each) => JSON.stringify(each)).join(':')).join(',')}}`;
          expect(bearers({ [API_TOKENS]: text })).toEqual(
            pairs.map(([name, token]) => `${name}/full: ${token}`),
          );
        },
      ),
    );
  });
});

describe('secrets from files', () => {
  test.each([API_TOKEN, API_TOKENS, READ_TOKENS])('CFG-21 %s_FILE', (name) => {
    const variable = `${name}_FILE`;
    const others = name === READ_TOKENS ? { [API_TOKEN]: 'other' } : {};
    const text = name === API_TOKEN ? 's3cr3t' : '{"alice":"s3cr3t"}';
    const read = (content: string) => access({ ...others, [variable]: ' /a ' }, { '/a': content }).tokens;
    // Editors put a line feed behind the last line.
    for (const content of [text, `${text}\n`, ` \r\n${text}\r\n`])
      expect(read(content).at(-1)?.token).toBe('s3cr3t');
    refusal(variable, { ...others, [variable]: '/a' }, { '/a': ' \n' });
    expect(refusal(variable, { ...others, [variable]: '/s3cr3t' })).toContain('ENOENT');
    expect(refusal(variable, { ...others, [name]: text, [variable]: '/a' }, { '/a': text })).toContain(name);
    expect(refusal(variable, { ...others, [variable]: '/a' }, null)).toContain('this runtime');
    // Blank is unset, beside a variable too.
    expect(access({ ...others, [name]: text, [variable]: ' ' }, null).tokens.at(-1)?.token).toBe('s3cr3t');
  });

  test('CFG-21 an error of another kind is named by nothing of its own', () => {
    const environment = { [`${API_TOKEN}_FILE`]: '/s3cr3t' };
    const read = () => {
      throw new Error('cannot read /s3cr3t');
    };
    expect(() => parseAccess(environment, read)).toThrow(
      /_FILE names a file that cannot be read \(unreadable\)$/,
    );
  });
});

describe('origins', () => {
  const origins = (text: string) => access({ [API_TOKEN]: 'a', [ORIGINS]: text }).allowedOrigins;

  test('CFG-22 unset or blank: all', () => {
    expect(access({ [API_TOKEN]: 'a' }).allowedOrigins).toBeNull();
    expect(origins(' ')).toBeNull();
  });

  test('CFG-22 what is none is told by its place: it may hold a password', () => {
    const refused = () => origins('https://a.example,https://user:s3cr3t@x');
    expect(refused).toThrow('CELLOS_SERVER_ALLOWED_ORIGINS has an origin 2 of 2');
    expect(refused).not.toThrow('s3cr3t');
  });

  test('CFG-22 a list, as browsers spell them', () => {
    expect([...(origins(' https://UI.example:443, http://localhost:3000 ,,null') ?? [])]).toEqual([
      'https://ui.example',
      'http://localhost:3000',
      'null',
    ]);
  });

  test.each([
    '*',
    'ui.example',
    'https://*.example',
    'https://ui.example/',
    'https://a.example https://b.example',
    ',',
  ])('CFG-22 %j is none', (text) => {
    refusal(ORIGINS, { [API_TOKEN]: 's3cr3t', [ORIGINS]: text });
  });
});
