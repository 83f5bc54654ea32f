// API-2: a linter's opinion of the description. Node alone: the linter reads files, and a validator makes functions of texts.
import { createConfig, lintFromString } from '@redocly/openapi-core';
import { expect, test } from 'vitest';

import { openApiDocument } from '../../src/openapi/document.ts';
import { OpenApiChecker } from '../support/openapi-checker.ts';

const { bytes } = openApiDocument();
const text = new TextDecoder().decode(bytes);

/** The strictest set of rules but for what it takes for slips. */
const RULES = {
  // It is in a private repository without a licence.
  'info-license': 'off',
  // The handshake of a WebSocket ends in 101, which is neither.
  'operation-2xx-response': 'off',
  // Names win over ids there, as the description of the table says: /v1/formations/by-name/status.
  'no-ambiguous-paths': 'off',
} as const;

async function lint(source: string): Promise<string[]> {
  const config = await createConfig({ extends: ['recommended-strict'], rules: RULES });
  const problems = await lintFromString({ source, absoluteRef: 'openapi.json', config });
  return problems.map(({ ruleId, message, location }) => `${ruleId}: ${message} (${location[0]?.pointer})`);
}

test('API-2 a linter for OpenAPI 3.1 finds nothing', async () => {
  expect(await lint(text)).toEqual([]);
});

test('API-2 it would find something', async () => {
  const wrong = text
    .replace('"operationId":"getCell","tags"', '"operationId":"listCells","tags"')
    .replace('"in":"query"', '"in":"body"')
    .replace('"type":"integer"', '"type":"int"');
  const found = (await lint(wrong)).map((line) => line.split(':', 1)[0]);
  expect(found).toEqual(expect.arrayContaining(['operation-operationId-unique', 'struct']));
});

test('API-2 every schema is a valid one of JSON Schema 2020-12, and the examples fit theirs', () => {
  const checker = new OpenApiChecker(text);
  expect(checker.checkSchemas()).toEqual([]);
});
