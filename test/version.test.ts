import { expect, test } from 'vitest';

import pkg from '../package.json' with { type: 'json' };
import { VERSION } from '../src/version.ts';

test('HTTP-50 the version is that of package.json, and semantic', () => {
  expect(VERSION).toBe(pkg.version);
  expect(VERSION).toMatch(/^(0|[1-9]\d*)(\.(0|[1-9]\d*)){2}(-[\w.-]+)?(\+[\w.-]+)?$/);
});
