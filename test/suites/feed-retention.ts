// A log that no longer reaches back to where a client wants to go on, over the feed and over pages.
import { beforeAll, describe, expect, test } from 'vitest';
import { cellStarted, unique } from '../support/events.ts';
import { STREAM } from '../support/nats-server.ts';
import type { Rig } from '../support/server-process.ts';

const KEPT_FROM = 21;
const COUNT = 30;

export function retentionSuite(rig: () => Rig): void {
  let epoch: string;
  const page = (query: string) => rig().http.read(`/v1/events?${query}`);
  const rehydrate = async (query: string) => {
    const feed = await rig().server.feed({ query });
    const closing = await feed.whenClosed();
    return { frames: feed.frames.map((frame) => JSON.parse(frame.text) as unknown), closing };
  };
  const exhausted = (oldest_seq: number, latest_seq: number) => ({
    frames: [
      {
        type: '/problems/ws/retention-exhausted',
        title: 'Cursor older than stream retention',
        oldest_seq,
        latest_seq,
        epoch,
      },
    ],
    closing: { code: 4410, reason: 'retention-exhausted' },
  });
  const changed = (oldest_seq: number, latest_seq: number) => ({
    frames: [{ type: '/problems/ws/epoch-changed', title: 'Stream replaced', oldest_seq, latest_seq, epoch }],
    closing: { code: 4410, reason: 'epoch-changed' },
  });

  beforeAll(async () => {
    await rig().publish(...Array.from({ length: COUNT }, () => cellStarted(unique('cell'))));
    await (await rig().broker.manager()).streams.purge(STREAM, { seq: KEPT_FROM });
    epoch = (await rig().snapshot()).epoch ?? '';
  });

  test('LOG-12 what was purged stays in the projection', async () => {
    expect(await rig().http.read('/v1/cells')).toHaveLength(COUNT);
    expect((await rig().snapshot()).cursor).toBe(COUNT);
  });

  describe('the feed', () => {
    test('FEED-12 since + 1 below the oldest: one frame, then closed', async () => {
      for (const since of [1, 5, KEPT_FROM - 2])
        expect(await rehydrate(`since=${since}`)).toEqual(exhausted(KEPT_FROM, COUNT));
      expect(await rehydrate('since=1&subject=cellos.events.none')).toEqual(exhausted(KEPT_FROM, COUNT));
    });

    test('FEED-12 the members of the frame come in order', async () => {
      const feed = await rig().server.feed({ query: 'since=1' });
      await feed.whenClosed();
      expect(Object.keys(JSON.parse(feed.frames[0]?.text ?? '{}') as object).slice(0, 3)).toEqual([
        'type',
        'title',
        'oldest_seq',
      ]);
    });

    test('FEED-12 since + 1 at the oldest is served whole; since=0 means the oldest', async () => {
      for (const since of [KEPT_FROM - 1, 0]) {
        const feed = await rig().server.feed({ query: `since=${since}` });
        await feed.whenSequence(COUNT);
        expect(feed.sequences).toEqual(
          Array.from({ length: COUNT - KEPT_FROM + 1 }, (_, index) => KEPT_FROM + index),
        );
        expect(feed.closing).toBeNull();
        await feed.close();
      }
    });

    test('FEED-13 another epoch: one frame, then closed, wherever since points', async () => {
      for (const query of [
        'epoch=another',
        'epoch=another&since=0',
        'since=25&epoch=x',
        'since=1&epoch=x',
        'since=99&epoch=x',
      ])
        expect([query, await rehydrate(query)]).toEqual([query, changed(KEPT_FROM, COUNT)]);
    });

    test('FEED-13 the log’s own epoch goes on as without', async () => {
      const encoded = encodeURIComponent(epoch);
      const feed = await rig().server.feed({ query: `since=${COUNT - 1}&epoch=${encoded}` });
      await feed.whenSequence(COUNT);
      expect(feed.sequences).toEqual([COUNT]);
      await feed.close();
      expect(await rehydrate(`since=1&epoch=${encoded}`)).toEqual(exhausted(KEPT_FROM, COUNT));
    });
  });

  describe('pages', () => {
    test('HTTP-45 since + 1 below the oldest: the page starts there and says so', async () => {
      for (const since of [1, KEPT_FROM - 2]) {
        const { events, ...rest } = await page(`since=${since}&limit=2`);
        expect((events as { seq: number }[]).map((entry) => entry.seq)).toEqual([KEPT_FROM, KEPT_FROM + 1]);
        expect(rest).toEqual({ cursor: KEPT_FROM + 1, epoch, truncated: true, oldest_seq: KEPT_FROM });
      }
    });

    test('HTTP-45 HTTP-41 since=0, or since + 1 at the oldest, is no truncation', async () => {
      for (const since of [0, KEPT_FROM - 1, KEPT_FROM]) {
        const reply = await page(`since=${since}&limit=1`);
        expect((reply['events'] as { seq: number }[])[0]?.seq).toBe(Math.max(KEPT_FROM, since + 1));
        expect(Object.keys(reply).toSorted()).toEqual(['cursor', 'epoch', 'events']);
      }
    });
  });

  describe('a log that was emptied', () => {
    beforeAll(async () => {
      await (await rig().broker.manager()).streams.purge(STREAM);
    });

    test('FEED-12 everything before its end is exhausted, its end is not', async () => {
      expect(await rehydrate(`since=${COUNT - 1}`)).toEqual(exhausted(COUNT + 1, COUNT));
      const feeds = [
        await rig().server.feed({ query: `since=${COUNT}` }),
        await rig().server.feed({ query: 'since=0' }),
      ];
      const last = await rig().publish('1');
      for (const feed of feeds) {
        await feed.whenSequence(last);
        expect(feed.sequences).toEqual([COUNT + 1]);
        await feed.close();
      }
    });

    test('HTTP-44 HTTP-45 a page ends at its last sequence', async () => {
      await (await rig().broker.manager()).streams.purge(STREAM);
      const last = await rig().broker.lastSequence();
      expect(await page('since=0')).toEqual({ events: [], cursor: last, epoch });
      expect(await page(`since=${last}`)).toEqual({ events: [], cursor: last, epoch });
      expect(await page('since=1')).toEqual({
        events: [],
        cursor: last,
        epoch,
        truncated: true,
        oldest_seq: last + 1,
      });
    });
  });
}
