// What the log says of what is skipped.
import { describe, expect, test } from 'vitest';

import { SKIP_REPORT_MS } from '../src/limits.ts';
import type { SignatureVerdict } from '../src/model.ts';
import type { Log } from '../src/ports.ts';
import { SkipReport } from '../src/skip-report.ts';
import { ManualClock } from './support/manual-clock.ts';

const UNSIGNED: SignatureVerdict = { outcome: 'unsigned', basis: null, refusal: 'unsigned' };

function given() {
  const clock = new ManualClock();
  const lines: unknown[] = [];
  const warn = (message: string, fields?: object) => void lines.push([message, fields]);
  const ignore = () => {};
  const logger: Log = { debug: ignore, info: ignore, warn, error: ignore };
  return { clock, lines, report: new SkipReport(clock, logger) };
}

describe('skipped events', () => {
  test('SIG-6 of any other reason each has a line', () => {
    const { lines, report } = given();
    for (let seq = 1; seq <= 3; seq++) report.skipped(seq, 'why', null);
    report.skipped(4, 'bad', { ...UNSIGNED, outcome: 'bad-signature' });
    expect(lines).toEqual(
      [1, 2, 3, 4].map((seq) => ['event skipped', { seq, reason: seq < 4 ? 'why' : 'bad' }]),
    );
  });

  test('SIG-9 of unsigned ones the first has, the others are counted', async () => {
    const { clock, lines, report } = given();
    for (let seq = 1; seq <= 1000; seq++) report.skipped(seq, 'unsigned', UNSIGNED);
    expect(lines).toEqual([['event skipped', { seq: 1, reason: 'unsigned' }]]);
    await clock.advance(SKIP_REPORT_MS);
    expect(lines.splice(0).at(-1)).toEqual([
      'events skipped',
      { count: 999, seq: 1000, reason: 'they are not signed' },
    ]);
    await clock.advance(SKIP_REPORT_MS * 10);
    expect(lines).toEqual([]);
    for (let seq = 1001; seq <= 1003; seq++) report.skipped(seq, 'unsigned', UNSIGNED);
    report.stop();
    expect(lines.map((line) => (line as [string])[0])).toEqual(['event skipped', 'events skipped']);
    await clock.advance(SKIP_REPORT_MS);
    expect(lines).toHaveLength(2);
  });
});
