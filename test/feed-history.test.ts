// Reading pages of the log: how many at once, whoever asks.
import { expect, it } from 'vitest';

import { FeedHistory } from '../src/feed-history.ts';
import { HISTORY_PAGE_SEQUENCES, HISTORY_READERS } from '../src/limits.ts';
import { ManualClock } from './support/manual-clock.ts';
import { MemoryEventLog } from './support/memory-event-log.ts';
import { silentLogger } from './support/system.ts';

it('FEED-51 reads a bounded number of pages at once, also when who has one asks for the next at once', async () => {
  const log = new MemoryEventLog();
  let reading = 0;
  let most = 0;
  // All pages that are being read are done in one turn, as answers are that came in one input.
  let turn: Promise<void> | null = null;
  const whenTurned = () =>
    new Promise<void>((resolve) =>
      setTimeout(() => {
        turn = null;
        resolve();
      }, 0),
    );
  const { read } = log;
  log.read = async (options) => {
    most = Math.max(most, ++reading);
    await (turn ??= whenTurned());
    try {
      return await read.call(log, options);
    } finally {
      reading--;
    }
  };
  log.append({ n: 1 });
  const history = new FeedHistory(log, new ManualClock(), silentLogger);
  const walk = async (from: number) => {
    for (let page = 0; page < 20; page++) await history.pageAfter(from + page * HISTORY_PAGE_SEQUENCES);
  };
  await Promise.all(Array.from({ length: 20 }, (_, n) => walk(n * 1_000_000)));
  expect(most).toBe(HISTORY_READERS);
});
