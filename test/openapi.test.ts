// The description of the API by itself: that it is about the server's routes, parameters and problems, and about nothing else.
import { describe, expect, test } from 'vitest';

import { openApiDocument } from '../src/openapi/document.ts';
import { PROBLEMS } from '../src/problems.ts';
import { ROUTES } from '../src/routes/table.ts';

interface Operation {
  readonly operationId: string;
  readonly tags: readonly string[];
  readonly parameters?: readonly { readonly $ref: string }[];
}

interface Described {
  readonly openapi: string;
  readonly servers: readonly { readonly url: string }[];
  readonly security: readonly object[];
  readonly tags: readonly { readonly name: string }[];
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
}

const { bytes, etag } = openApiDocument();
const text = new TextDecoder().decode(bytes);
const document = JSON.parse(text) as Described;

/** What a reference of the document points at. */
function at($ref: string): unknown {
  const path = $ref.replace('#/', '').split('/');
  return path.reduce<unknown>(
    (value, key) => (value as Record<string, unknown> | undefined)?.[key],
    document,
  );
}

const operations = ROUTES.flatMap(({ template, methods }) =>
  methods.map((method) => {
    const operation = document.paths[template]?.[method.toLowerCase()] as Operation;
    return { name: `${method} ${template}`, template, operation };
  }),
);

describe('API-1 the description', () => {
  test('has the paths and methods of the table of routes, and no others', () => {
    const described = Object.entries(document.paths).flatMap(([template, item]) =>
      Object.keys(item)
        .filter((key) => key !== 'parameters')
        .map((method) => `${method.toUpperCase()} ${template}`),
    );
    expect(described).toEqual(operations.map(({ name }) => name));
  });

  test('is made once', () => {
    expect(openApiDocument()).toBe(openApiDocument());
    expect(etag).toMatch(/^"[0-9a-f-]{36}"$/);
  });

  test('says no address, asks for the token everywhere, and writes the largest integer with all of its digits', () => {
    expect(document.openapi).toBe('3.1.0');
    expect(document.servers).toEqual([{ url: '/' }]);
    expect(document.security).toEqual([{ bearer: [] }]);
    expect(text).not.toContain('"security":[]');
    expect(text).toContain('"maximum":18446744073709551615');
    expect(text).not.toContain('18446744073709552000');
  });

  test('operations have names of their own and tags that are explained', () => {
    const names = operations.map(({ operation }) => operation.operationId);
    expect(new Set(names).size).toBe(operations.length);
    const explained = document.tags.map(({ name }) => name);
    for (const { operation } of operations)
      expect(explained).toEqual(expect.arrayContaining([...operation.tags]));
  });

  test.for(operations)('$name has the parameters of its path', ({ template, operation }) => {
    const parameters = (operation.parameters ?? []).map(
      ({ $ref }) => at($ref) as { name: string; in: string },
    );
    const inPath = parameters.filter((each) => each.in === 'path').map(({ name }) => name);
    expect(inPath).toEqual(Array.from(template.matchAll(/\{(\w+)\}/g), ([, name]) => name));
  });

  test('every reference leads somewhere', () => {
    for (const [, $ref = ''] of text.matchAll(/"\$ref":"([^"]+)"/g)) expect(at($ref), $ref).toBeDefined();
  });

  test('every problem of the catalogue is an answer of some operation, but the one that none gives', () => {
    const told = new Set(Array.from(text.matchAll(/"\/problems\/([^"]+)"/g), ([, code]) => code));
    expect(told).toEqual(new Set(Object.keys(PROBLEMS)));
    const { paths } = document;
    const answered = new Set(
      Array.from(
        JSON.stringify(paths).matchAll(/"\$ref":"(#\/components\/responses\/[^"]+)"/g),
        ([, $ref = '']) => JSON.stringify(at($ref)),
      ),
    );
    const answers = [...answered, JSON.stringify(paths)].join();
    const missing = Object.keys(PROBLEMS).filter((code) => !answers.includes(`"/problems/${code}"`));
    // It is what there is no operation for.
    expect(missing).toEqual(['method-not-allowed']);
  });
});
