// Log lines that wait for the end of a turn, and those that do not.
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

  test('are written together once the turn is over', async () => {
    for (const line of ['a', 'b', 'c']) lines.writeSoon(line);
    expect(written).toEqual([]);
    await clock.settle();
    expect(written).toEqual(['a\nb\nc']);
    lines.writeSoon('d');
    await clock.settle();
    expect(written).toEqual(['a\nb\nc', 'd']);
  });

  test('go before a line that does not wait', async () => {
    lines.writeSoon('a');
    lines.write('b');
    lines.writeSoon('c');
    expect(written).toEqual(['a', 'b']);
    await clock.settle();
    expect(written).toEqual(['a', 'b', 'c']);
  });

  test('do not pile up in a turn that does not end', async () => {
    const line = 'x'.repeat(1000);
    for (let n = 0; n < 1000; n++) lines.writeSoon(line);
    expect(written.length).toBeGreaterThan(10);
    await clock.settle();
    expect(written.join('\n').split('\n')).toEqual(Array.from({ length: 1000 }, () => line));
    expect(Math.max(...written.map((each) => each.length))).toBeLessThan(70_000);
  });

  test('are written when the process ends in the middle of a turn', () => {
    lines.writeSoon('a');
    lines.flush();
    lines.flush();
    expect(written).toEqual(['a']);
  });
});
