// Reading pages of the log: how many at once, whoever asks.
import { expect, it } from 'vitest';

import { EntryReader } from '../src/entry-reader.ts';
import { FeedHistory } from '../src/feed-history.ts';
import { HISTORY_PAGE_SEQUENCES, HISTORY_READERS } from '../src/limits.ts';
import { initialState } from '../src/projection.ts';
import { ManualClock } from './support/manual-clock.ts';
import { MemoryEventLog } from './support/memory-event-log.ts';
import { silentLogger } from './support/system.ts';

const view = { reader: new EntryReader(), state: initialState() };

it('FEED-51 sessions at different positions share the pages that hold them', async () => {
  const log = new MemoryEventLog();
  for (let n = 1; n <= 2 * HISTORY_PAGE_SEQUENCES; n++) log.append({ n });
  let reads = 0;
  const { read } = log;
  log.read = (options) => {
    reads++;
    return read.call(log, options);
  };
  const history = new FeedHistory(log, view, new ManualClock(), silentLogger);
  const positions = Array.from({ length: 100 }, (_, n) => n * 17);
  const pages = await Promise.all(positions.map((position) => history.pageAfter(position)));
  for (const [at, position] of positions.entries())
    expect(pages[at]?.slice(position, position + 1).map(({ seq }) => seq)).toEqual([position + 1]);
  expect(reads).toBe(2);
});

it('FEED-36 what a shared page has not, because the log begins behind its start, is in a page of its own', async () => {
  const log = new MemoryEventLog();
  for (let n = 1; n <= 100; n++) log.append({ n });
  log.purge(40);
  const history = new FeedHistory(log, view, new ManualClock(), silentLogger);
  const page = await history.pageAfter(50);
  expect(page.slice(50, 52).map(({ seq }) => seq)).toEqual([51, 52]);
  // And who has missed something is told the log's bounds.
  expect((await history.pageAfter(10)).bounds.firstSeq).toBe(41);
});

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
  const history = new FeedHistory(log, view, new ManualClock(), silentLogger);
  const walk = async (from: number) => {
    for (let page = 0; page < 20; page++) await history.pageAfter(from + page * HISTORY_PAGE_SEQUENCES);
  };
  await Promise.all(Array.from({ length: 20 }, (_, n) => walk(n * 1_000_000)));
  expect(most).toBe(HISTORY_READERS);
});
