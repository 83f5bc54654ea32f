// The line of a request and the id in it, letter by letter.
import { describe, expect, test } from 'vitest';

import { createRequestIds, createRequestLog, REQUEST_ID_HEADER } from '../src/request-log.ts';

describe('lines', () => {
  const linesOf = (write: (log: NonNullable<ReturnType<typeof createRequestLog>>) => void) => {
    const lines: string[] = [];
    const log = createRequestLog('info', (line) => lines.push(line));
    if (log === null) throw new Error('info is written at info');
    write(log);
    return lines;
  };

  test('OPS-21 hold what the rule says, in its order', () => {
    const before = Date.now();
    const [line = ''] = linesOf((log) =>
      log({ id: 'a-1', operator: 'me', route: '/v1/cells/{id}' }, 'GET', 200, 1.23456),
    );
    const { time, ...rest } = JSON.parse(line) as Record<string, unknown>;
    expect(line.startsWith('{"time":"')).toBe(true);
    expect(JSON.stringify(rest)).toBe(
      '{"level":"info","message":"request","id":"a-1","operator":"me","method":"GET","route":"/v1/cells/{id}","status":200,"ms":1.235}',
    );
    const at = Date.parse(time as string);
    expect(new Date(at).toISOString()).toBe(time);
    expect(at).toBeGreaterThanOrEqual(before);
    expect(at).toBeLessThanOrEqual(Date.now());
  });

  test('OPS-21 are JSON whatever is in them', () => {
    const id = '"\\{}';
    const operators = ['Zoë "O’Hara"\\\n\u0000', null, 'a', 'a', null];
    const method = 'M-"\\\u0007SEARCH';
    const lines = linesOf((log) => {
      for (const operator of operators) log({ id, operator, route: null }, method, 404, 0);
    });
    const parsed = lines.map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(parsed.map((each) => each['operator'])).toEqual(operators);
    for (const each of parsed) expect(each).toMatchObject({ id, route: null, status: 404, ms: 0 });
    expect(lines.join('')).not.toMatch(/\p{Cc}/u);
  });

  test('OPS-21 of the same moment share their time, later ones do not', async () => {
    const times: string[] = [];
    const log = createRequestLog('debug', (line) => times.push((JSON.parse(line) as { time: string }).time));
    const write = () => log?.({ id: 'a', operator: null, route: null }, 'GET', 200, 0);
    write();
    await new Promise((resolve) => setTimeout(resolve, 20));
    write();
    expect(Date.parse(times[1] ?? '')).toBeGreaterThan(Date.parse(times[0] ?? ''));
  });

  test.each(['warn', 'error', 'off'] as const)('CFG-8 there are none at %s', (level) => {
    expect(createRequestLog(level, () => {})).toBeNull();
  });
});

describe('ids', () => {
  const idOf = createRequestIds();
  const given = (id: string) => idOf(new Headers({ [REQUEST_ID_HEADER]: id }));

  test('OPS-20 a proper one is taken over', () => {
    for (const id of ['a', '~!"\\', '4bf92f35-77b3', 'x'.repeat(128)]) expect(given(id)).toBe(id);
  });

  test('OPS-20 others are replaced, each by another', () => {
    const made = ['', 'a b', 'x'.repeat(129), 'a, b'].map(given);
    made.push(idOf(new Headers()), createRequestIds()(new Headers()));
    for (const id of made) expect(id).toMatch(/^[0-9a-f]{16}-[0-9a-z]+$/);
    expect(new Set(made).size).toBe(made.length);
  });
});
