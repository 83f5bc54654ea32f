// The feed's room on the in-memory log: the test decides when frames are handed out, when a client takes them, and what the
// log does meanwhile.
import { beforeEach, describe, expect, it } from 'vitest';

import { ControlPlane } from '../src/control-plane.ts';
import type { FeedRequest } from '../src/feed-session.ts';
import { ManualClock } from './support/manual-clock.ts';
import { MemoryEventLog } from './support/memory-event-log.ts';
import { silentLogger } from './support/system.ts';
import { TestSocket } from './support/test-socket.ts';

const range = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, at) => from + at);
/** A payload whose frame is a bit more than a KiB. */
const KIB = { pad: 'x'.repeat(1024) };

describe('feed', () => {
  let log: MemoryEventLog;
  let clock: ManualClock;
  let controlPlane: ControlPlane;

  const start = async (history = 0, { ringBytes = 1_000_000 } = {}) => {
    log = new MemoryEventLog();
    clock = new ManualClock();
    for (let n = 1; n <= history; n++) log.append({ n });
    controlPlane = new ControlPlane({ log, clock, logger: silentLogger, ringBytes });
    controlPlane.start();
    await clock.settle();
  };
  const open = async (request: Partial<FeedRequest> = {}, socket = new TestSocket()) => {
    const whole = { since: null, filter: 'cellos.events.>', epoch: null, ...request };
    socket.connection = controlPlane.feed.open(socket, whole);
    await clock.settle();
    return socket;
  };
  const append = async (count: number, payload: unknown = { live: true }, subject?: string) => {
    for (let n = 0; n < count; n++) log.append(payload, subject);
    await clock.settle();
  };

  beforeEach(() => start(10));

  describe('positions', () => {
    it('FEED-2 is live only without since', async () => {
      const socket = await open();
      await append(2);
      expect(socket.sequences).toEqual([11, 12]);
    });

    it('FEED-2 sends everything after since, then live, each once', async () => {
      const socket = await open({ since: 4 });
      await append(3);
      expect(socket.sequences).toEqual(range(5, 13));
    });

    it('FEED-2 splices onto live while frames are on their way', async () => {
      log.append({ n: 11 });
      const whole = { filter: 'cellos.events.>', epoch: null };
      const [since, live] = [new TestSocket(), new TestSocket()];
      // Eleven has been received and not handed out yet.
      controlPlane.feed.open(live, { ...whole, since: null });
      controlPlane.feed.open(since, { ...whole, since: 9 });
      log.append({ n: 12 });
      await clock.settle();
      expect(live.sequences).toEqual([12]);
      expect(since.sequences).toEqual([10, 11, 12]);
    });

    it('FEED-4 waits for a sequence beyond the tail', async () => {
      const socket = await open({ since: 12 });
      await append(5);
      expect(socket.sequences).toEqual([13, 14, 15]);
      const never = await open({ since: Number.MAX_SAFE_INTEGER });
      await append(2);
      expect(never.texts).toEqual([]);
    });

    it('FEED-1 shows the payload as it was published and drops what is no UTF-8 JSON', async () => {
      const socket = await open();
      log.append('{ "b":1.0, "a":12345678901234567890 }');
      log.append('not json');
      log.append(Uint8Array.of(0x22, 0xff, 0x22));
      log.append('"text"');
      await clock.settle();
      expect(socket.texts).toEqual([
        '{"seq":11,"event":{ "b":1.0, "a":12345678901234567890 }}',
        '{"seq":14,"event":"text"}',
      ]);
    });

    it('FEED-2 reads what the ring has dropped from the log, in order', async () => {
      await start(3500, { ringBytes: 4000 });
      const socket = await open({ since: 0 });
      await append(2);
      expect(socket.sequences).toEqual(range(1, 3502));
    });

    it('FEED-2 reads events as large as they come in pages of a few', async () => {
      await start(0, { ringBytes: 1000 });
      await append(30, { pad: 'x'.repeat(900_000) });
      const socket = new TestSocket();
      socket.takesAtOnce = 0;
      await open({ since: 7 }, socket);
      expect(socket.sequences.at(-1)).toBeLessThan(20);
      for (let round = 0; round < 30; round++) {
        socket.take();
        await clock.advance(100);
      }
      expect(socket.sequences).toEqual(range(8, 30));
    });

    it('FEED-2 steps over holes and over a range that is gone', async () => {
      await start(6000, { ringBytes: 1000 });
      log.purge(4321);
      log.remove(4500);
      const socket = await open({ since: 0 });
      expect(socket.sequences).toEqual(range(4322, 6000).filter((seq) => seq !== 4500));
    });

    it('hands the very same frames to all who are due them', async () => {
      const sockets = await Promise.all([open(), open(), open({ since: 3 }), open({ since: 3 })]);
      await append(3);
      const last = sockets.map((socket) => socket.batches.at(-1));
      expect(new Set(last).size).toBe(1);
      expect(sockets[2]?.batches[0]).toBe(sockets[3]?.batches[0]);
    });
  });

  describe('filters', () => {
    it('FEED-5 sends only what matches, also from the ring and the log', async () => {
      await start(0, { ringBytes: 4000 });
      for (let n = 0; n < 300; n++) log.append({ n }, n % 3 === 0 ? 'cellos.events.a.x' : 'cellos.events.b');
      await clock.settle();
      const socket = await open({ since: 0, filter: 'cellos.events.*.x' });
      await append(1, {}, 'cellos.events.b');
      await append(1, {}, 'cellos.events.a.x');
      expect(socket.sequences).toEqual([...range(0, 99).map((n) => n * 3 + 1), 302]);
    });

    it('FEED-6 closes an invalid filter with 1008 and leaves a foreign one silent', async () => {
      expect((await open({ filter: 'a..b' })).closed).toEqual({ code: 1008, reason: 'subscribe failed' });
      const foreign = await open({ since: 0, filter: 'other.>' });
      await append(1);
      expect([foreign.closed, foreign.texts]).toEqual([null, []]);
    });
  });

  describe('floor and identity', () => {
    it('FEED-12 refuses a since below the floor, not one at it, and never 0', async () => {
      log.purge(6);
      const below = await open({ since: 5 });
      expect(below.closed).toEqual({ code: 4410, reason: 'retention-exhausted' });
      expect(JSON.parse(below.texts[0] as string)).toEqual({
        type: '/problems/ws/retention-exhausted',
        title: 'Cursor older than stream retention',
        oldest_seq: 7,
        latest_seq: 10,
        epoch: 'epoch-1',
      });
      expect((await open({ since: 6 })).sequences).toEqual(range(7, 10));
      expect((await open({ since: 0 })).closed).toBeNull();
    });

    it('FEED-12 tells a client that the floor overtakes while it is catching up', async () => {
      await start(0, { ringBytes: 1000 });
      await append(5000, KIB);
      const socket = new TestSocket();
      socket.takesAtOnce = 0;
      await open({ since: 1 }, socket);
      const last = socket.sequences.at(-1) as number;
      expect(last).toBeLessThan(4000);
      log.purge(4000);
      socket.take();
      await clock.settle();
      expect(socket.closed).toEqual({ code: 4410, reason: 'retention-exhausted' });
      expect(JSON.parse(socket.texts.at(-1) as string)).toMatchObject({ oldest_seq: 4001, latest_seq: 5000 });
    });

    it('FEED-13 refuses another epoch', async () => {
      const socket = await open({ since: 3, epoch: 'epoch-0' });
      expect(socket.closed).toEqual({ code: 4410, reason: 'epoch-changed' });
      expect((await open({ since: 3, epoch: 'epoch-1' })).sequences).toEqual(range(4, 10));
    });

    it('FEED-13 tells everybody that the stream was replaced', async () => {
      const sockets = [await open(), await open({ since: 2 }), await open({ since: 99 })];
      log.replace();
      await clock.settle();
      for (const socket of sockets) {
        expect(socket.closed).toEqual({ code: 4410, reason: 'epoch-changed' });
        expect(JSON.parse(socket.texts.at(-1) as string)).toMatchObject({
          type: '/problems/ws/epoch-changed',
          title: 'Stream replaced',
          epoch: 'epoch-2',
        });
      }
      await append(2);
      expect((await open({ since: 0 })).sequences).toEqual([1, 2]);
    });
  });

  describe('the broker away', () => {
    it('FEED-14 closes who opens with 1008', async () => {
      log.disconnect();
      const socket = await open({ since: 1 });
      expect(socket.closed).toEqual({ code: 1008, reason: 'no upstream broker configured' });
    });

    it('FEED-15 keeps who is there and goes on in order', async () => {
      await start(3000, { ringBytes: 100 });
      const live = await open();
      const behind = new TestSocket();
      behind.takesAtOnce = 0;
      behind.bufferedBytes = 2_000_000;
      await open({ since: 0 }, behind);
      log.disconnect();
      await clock.advance(10_000);
      behind.take();
      await clock.advance(1000);
      expect([live.closed, behind.closed]).toEqual([null, null]);
      for (let n = 0; n < 5; n++) log.append({ n });
      behind.takesAtOnce = Number.POSITIVE_INFINITY;
      log.connect();
      await clock.advance(1000);
      expect(live.sequences).toEqual(range(3001, 3005));
      expect(behind.sequences).toEqual(range(1, 3005));
    });
  });

  describe('slow clients', () => {
    it('FEED-11 pauses one that does not take and catches it up without a gap', async () => {
      const slow = new TestSocket();
      await open({}, slow);
      slow.takesAtOnce = 100_000;
      const other = await open();
      for (let round = 0; round < 4; round++) await append(1000, KIB);
      expect(slow.sequences.length).toBeLessThan(2500);
      expect(other.sequences).toEqual(range(11, 4010));
      slow.takesAtOnce = Number.POSITIVE_INFINITY;
      slow.take();
      await clock.advance(1000);
      expect(slow.sequences).toEqual(range(11, 4010));
      expect(slow.closed).toBeNull();
    });

    it('FEED-11 closes one that is over its bound and takes nothing, without a gap before', async () => {
      const stuck = new TestSocket();
      stuck.takesAtOnce = 0;
      await open({}, stuck);
      const other = await open();
      for (let round = 0; round < 5; round++) await append(1000, KIB);
      await clock.advance(6000);
      const last = stuck.sequences.at(-1);
      expect(stuck.closed).toEqual({ code: 4408, reason: `slow-consumer ${last}` });
      expect(stuck.sequences).toEqual(range(11, last as number));
      expect(other.sequences).toEqual(range(11, 5010));
    });

    it('FEED-11 closes one that takes nothing for 50 s, however little it is', async () => {
      const stuck = new TestSocket();
      stuck.takesAtOnce = 0;
      await open({}, stuck);
      await append(1);
      for (let second = 0; second < 49; second++) {
        await clock.advance(1000);
        stuck.connection?.received();
      }
      expect(stuck.closed).toBeNull();
      await clock.advance(2000);
      expect(stuck.closed).toEqual({ code: 4408, reason: 'slow-consumer 11' });
    });

    it('FEED-11 leaves one alone that is slow but takes', async () => {
      const slow = new TestSocket();
      slow.takesAtOnce = 0;
      await open({}, slow);
      await append(2000, KIB);
      for (let second = 0; second < 120; second++) {
        slow.take(Math.min(10_000, slow.bufferedBytes));
        slow.connection?.received();
        await clock.advance(1000);
      }
      expect(slow.closed).toBeNull();
    });
  });

  describe('heartbeats', () => {
    it('FEED-10 pings every 25 s and closes who answers nothing for two of them', async () => {
      const answering = await open();
      const dead = await open();
      for (let second = 0; second < 60; second++) {
        await clock.advance(1000);
        answering.connection?.received();
      }
      expect(answering.pings).toBe(2);
      expect(answering.closed).toBeNull();
      expect(dead.closed?.code).toBe(4408);
    });
  });

  it('RUN-7 closes everybody with 1001 at the end', async () => {
    const sockets = [await open(), await open({ since: 0 })];
    await controlPlane.stop();
    for (const socket of sockets) expect(socket.closed?.code).toBe(1001);
    expect(controlPlane.feed.size).toBe(0);
  });
});
