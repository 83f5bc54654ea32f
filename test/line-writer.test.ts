// Log lines that wait for others, and those that do not.
import { beforeEach, describe, expect, test } from 'vitest';

import { LineWriter } from '../adapters/process/line-writer.ts';
import { ManualClock } from './support/manual-clock.ts';

describe('OPS-24 lines of requests', () => {
  let clock: ManualClock;
  let written: string[];
  let lines: LineWriter;
  beforeEach(() => {
    clock = new ManualClock();
    written = [];
    lines = new LineWriter((line) => written.push(line), clock);
  });

  test('are written together, the first of them 10 ms late', async () => {
    lines.writeSoon('a');
    await clock.advance(9);
    for (const line of ['b', 'c']) lines.writeSoon(line);
    expect(written).toEqual([]);
    await clock.advance(1);
    expect(written).toEqual(['a\nb\nc']);
    lines.writeSoon('d');
    await clock.advance(10);
    expect(written).toEqual(['a\nb\nc', 'd']);
  });

  test('go before a line that does not wait', async () => {
    lines.writeSoon('a');
    lines.write('b');
    lines.writeSoon('c');
    expect(written).toEqual(['a', 'b']);
    await clock.advance(10);
    expect(written).toEqual(['a', 'b', 'c']);
  });

  test('do not pile up when there are many', async () => {
    const line = 'x'.repeat(1000);
    for (let n = 0; n < 1000; n++) lines.writeSoon(line);
    expect(written.length).toBeGreaterThan(10);
    await clock.advance(10);
    expect(written.join('\n').split('\n')).toEqual(Array.from({ length: 1000 }, () => line));
    expect(Math.max(...written.map((each) => each.length))).toBeLessThan(70_000);
  });

  test('are written when the process ends before their time', async () => {
    lines.writeSoon('a');
    lines.flush();
    lines.flush();
    expect(written).toEqual(['a']);
    await clock.advance(5);
    lines.writeSoon('b');
    await clock.advance(9);
    expect(written).toEqual(['a']);
    await clock.advance(1);
    expect(written).toEqual(['a', 'b']);
  });
});
