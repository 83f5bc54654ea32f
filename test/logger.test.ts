import { describe, expect, test } from 'vitest';

import { createLogger, type LogLevel, parseLogLevel } from '../src/logger.ts';

const NAMES = ['debug', 'info', 'warn', 'error'] as const;

describe('levels', () => {
  test.each<[string | undefined, LogLevel]>([
    [undefined, 'info'],
    ['', 'info'],
    ['nonsense', 'info'],
    ['constructor', 'info'],
    ['debug', 'debug'],
    ['trace', 'debug'],
    ['info', 'info'],
    ['warn', 'warn'],
    ['warning', 'warn'],
    ['ERROR', 'error'],
    [' error ', 'error'],
    ['off', 'off'],
    ['cellos_server=debug', 'debug'],
    ['warn,cellos_server=debug', 'debug'],
    ['error,hyper=off', 'error'],
    ['nonsense,warn', 'warn'],
    [',,', 'info'],
  ])('CFG-8 %j means %s', (filter, level) => {
    expect(parseLogLevel(filter)).toBe(level);
  });

  test.each<[LogLevel, number]>([
    ['debug', 4],
    ['info', 3],
    ['warn', 2],
    ['error', 1],
    ['off', 0],
  ])('CFG-8 %s lets %i of the four through', (level, count) => {
    const lines: string[] = [];
    const log = createLogger(level, (line) => lines.push(line));
    for (const name of NAMES) log[name]('message');
    expect(lines.map((line) => (JSON.parse(line) as { level: string }).level)).toEqual(
      NAMES.slice(4 - count),
    );
  });
});

describe('lines', () => {
  test('CFG-8 are one JSON object each, whatever is in them', () => {
    const lines: string[] = [];
    const log = createLogger('debug', (line) => lines.push(line));
    const fields = { seq: 7, reason: 'a\n"b"\u2028', none: null, missing: undefined, list: ['x'] };
    log.warn('a\nb', fields);
    expect(lines).toHaveLength(1);
    expect(lines[0]).not.toContain('\n');
    const line = JSON.parse(lines[0] ?? '') as Record<string, unknown>;
    expect(line).toMatchObject({ level: 'warn', message: 'a\nb', seq: 7, reason: fields.reason, none: null });
    expect(line['time']).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
  });
});
