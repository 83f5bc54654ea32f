import { expect, test } from 'vitest';

import { serializedOrigin } from '../src/origins.ts';

test.each([
  ['https://ui.example', 'https://ui.example'],
  ['HTTPS://UI.Example', 'https://ui.example'],
  ['https://ui.example:443', 'https://ui.example'],
  ['http://ui.example:80', 'http://ui.example'],
  ['http://ui.example:443', 'http://ui.example:443'],
  ['http://[::1]:3000', 'http://[::1]:3000'],
  ['https://bücher.example', 'https://xn--bcher-kva.example'],
  ['chrome-extension://abcdefghijklmnop', 'chrome-extension://abcdefghijklmnop'],
  ['tauri://localhost', 'tauri://localhost'],
  ['null', 'null'],
])('HTTP-73 %s is %s', (text, origin) => {
  expect(serializedOrigin(text)).toBe(origin);
  expect(serializedOrigin(origin)).toBe(origin);
});

test.each([
  '',
  '*',
  'ui.example',
  'https://',
  'https://*',
  'https://*.example',
  'https://ui.example/',
  'https://ui.example?x',
  'https://ui.example#x',
  'https://user@ui.example',
  'https://ui.example https://b.example',
  'https://ui.example:x',
  'https:ui.example',
  'NULL',
  'about:blank',
])('HTTP-73 %j is none', (text) => {
  expect(serializedOrigin(text)).toBeNull();
});
