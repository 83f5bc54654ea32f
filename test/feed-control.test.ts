// What a session is told beside events, when it asks: where it is, and the view that it begins with. And what a client may not do.
import { beforeEach, describe, expect, it } from 'vitest';

import { ControlPlane } from '../src/control-plane.ts';
import type { FeedRequest } from '../src/feed-session.ts';
import { MAX_INBOUND_PER_SWEEP, SNAPSHOT_KEPT_MS } from '../src/limits.ts';
import { cellEvent, formationEvent, STARTED } from './support/given.ts';
import { ManualClock } from './support/manual-clock.ts';
import { MemoryEventLog } from './support/memory-event-log.ts';
import { silentLogger } from './support/system.ts';
import { TestSocket } from './support/test-socket.ts';

const IGNORED = { type: 'x' };
const range = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, at) => from + at);

interface Page {
  readonly snapshot: Readonly<Record<string, { id: string }[]>>;
  readonly seq: number;
  readonly epoch: string;
  readonly more: boolean;
}

describe('a feed session', () => {
  let log: MemoryEventLog;
  let clock: ManualClock;
  let controlPlane: ControlPlane;

  const start = async (options: { ringBytes?: number; maxSessions?: number } = {}) => {
    clock = new ManualClock();
    controlPlane = new ControlPlane({ log, clock, logger: silentLogger, ...options });
    controlPlane.start();
    await clock.settle();
  };
  const open = async (request: Partial<FeedRequest> = {}, socket = new TestSocket()) => {
    const whole = { since: null, filter: 'cellos.events.>', epoch: null, ...request };
    const connection = controlPlane.feed.open(socket, whole);
    socket.connection = connection;
    // A client that is alive.
    Object.assign(socket, { ping: () => connection.received() });
    await clock.settle();
    return socket;
  };
  const append = async (count: number, payload: unknown = IGNORED, subject?: string) => {
    for (let n = 0; n < count; n++) log.append(payload, subject);
    await clock.settle();
  };
  /** What it was sent, short: sequences, and control frames as they are. */
  const told = ({ texts }: TestSocket) =>
    texts.map((text) => {
      const { seq, synced, bookmark } = JSON.parse(text) as Record<string, unknown>;
      if (synced === true) return `synced ${String(seq)}`;
      return bookmark === true ? `bookmark ${String(seq)}` : seq;
    });

  beforeEach(async () => {
    log = new MemoryEventLog();
    for (let n = 1; n <= 10; n++) log.append(IGNORED);
    await start();
  });

  describe('that asks for control frames', () => {
    it('FEED-30 is told once when it has caught up, and goes on', async () => {
      const socket = await open({ since: 7, control: true });
      await append(2);
      expect(told(socket)).toEqual([8, 9, 10, 'synced 10', 11, 12]);
      expect(socket.texts[3]).toBe('{"synced":true,"seq":10}');
    });

    it('FEED-30 at once when it is live from the start; without asking never', async () => {
      expect(told(await open({ control: true }))).toEqual(['synced 10']);
      const plain = await open({ since: 8 });
      await clock.advance(120_000);
      expect(told(plain)).toEqual([9, 10]);
    });

    it('FEED-30 behind what it was sent, also when it takes it slowly', async () => {
      const socket = new TestSocket();
      socket.takesAtOnce = 0;
      await append(100, { pad: 'x'.repeat(100_000) });
      await open({ since: 0, control: true }, socket);
      for (let round = 0; round < 30; round++) {
        socket.take();
        await clock.advance(60);
      }
      expect(told(socket)).toEqual([...range(1, 110), 'synced 110']);
    });

    it('FEED-30 one that falls behind later is not told again', async () => {
      const socket = await open({ control: true });
      socket.takesAtOnce = 0;
      await append(30, { pad: 'x'.repeat(100_000) });
      socket.take();
      await clock.advance(100);
      expect(told(socket)).toEqual(['synced 10', ...range(11, 40)]);
    });

    it('FEED-31 hears of its cursor at least every 25 s while nothing is sent to it', async () => {
      const socket = await open({ control: true, filter: 'cellos.events.other' });
      for (let second = 0; second < 100; second++) {
        await append(1);
        await clock.advance(1000);
      }
      const bookmarks = told(socket).slice(1);
      expect(bookmarks).toHaveLength(4);
      const cursors = bookmarks.map((text) => Number(String(text).replace('bookmark ', '')));
      // An event a second: the cursor is a clock.
      for (const [at, cursor] of cursors.entries()) {
        expect(cursor - (cursors[at - 1] ?? 10)).toBeGreaterThan(20);
        expect(cursor - (cursors[at - 1] ?? 10)).toBeLessThanOrEqual(25);
      }
      // Nothing between a bookmark and what comes next is lost or repeated.
      await append(1, IGNORED, 'cellos.events.other');
      expect(told(socket).at(-1)).toBe(111);
    });

    it('FEED-31 not while events come', async () => {
      const socket = await open({ control: true });
      for (let round = 0; round < 10; round++) {
        await clock.advance(10_000);
        await append(1);
      }
      expect(told(socket)).toEqual(['synced 10', ...range(11, 20)]);
    });

    it('FEED-31 also while the log is away', async () => {
      const socket = await open({ control: true });
      log.disconnect();
      await clock.advance(50_000);
      expect(told(socket)).toEqual(['synced 10', 'bookmark 10', 'bookmark 10']);
    });

    it('FEED-31 one that waits for its sequence is told nothing', async () => {
      const socket = await open({ control: true, since: 12 });
      await clock.advance(60_000);
      expect(told(socket)).toEqual([]);
      await append(4);
      expect(told(socket)).toEqual([13, 14, 'synced 14']);
    });

    it('FEED-19 FEED-30 remembers that, and is not told twice by another life', async () => {
      const socket = await open({ since: 8, control: true });
      expect(socket.memory).toMatchObject({ cursor: 10, control: 'synced' });
      controlPlane.feed.detach();
      await controlPlane.stop('leave');
      log = log.another();
      await start();
      await append(1);
      socket.connection = controlPlane.feed.resume(
        socket,
        socket.memory as NonNullable<typeof socket.memory>,
      );
      await clock.settle();
      await append(1);
      expect(told(socket)).toEqual([9, 10, 'synced 10', 11, 12]);
    });
  });

  describe('that asks for a snapshot', () => {
    const pagesOf = (socket: TestSocket) =>
      socket.texts.map((text) => JSON.parse(text) as Page).filter(({ snapshot }) => snapshot !== undefined);
    const idsOf = (socket: TestSocket, kind: string) =>
      pagesOf(socket).flatMap(({ snapshot }) => (snapshot[kind] ?? []).map(({ id }) => id));
    const cells = (count: number, prefix = 'cell') =>
      range(1, count).map((n) => cellEvent(STARTED, `${prefix}-${String(n).padStart(5, '0')}`));

    it('FEED-32 gets all records as they are at one sequence, then everything after it', async () => {
      log.append(formationEvent('created', { formationId: crypto.randomUUID(), formationName: 'web' }));
      for (const event of cells(3)) log.append(event);
      await clock.settle();
      const socket = await open({ snapshot: ['formations', 'cells'] });
      await append(2);
      const pages = pagesOf(socket);
      expect(pages.map(({ seq, epoch, more }) => [seq, epoch, more])).toEqual([
        [14, 'epoch-1', true],
        [14, 'epoch-1', false],
      ]);
      expect(pages.map(({ snapshot }) => Object.keys(snapshot))).toEqual([['formations'], ['cells']]);
      const { formations } = JSON.parse(
        new TextDecoder().decode(controlPlane.snapshots.formations(null)),
      ) as {
        formations: unknown;
      };
      expect(pages[0]?.snapshot['formations']).toEqual(formations);
      expect(pages[1]?.snapshot['cells']).toEqual(
        JSON.parse(new TextDecoder().decode(controlPlane.snapshots.cells())),
      );
      expect(told(socket).slice(2)).toEqual([15, 16]);
    });

    it('FEED-32 in pages of at most 1000 records, none of them missing', async () => {
      for (const event of cells(2500)) log.append(event);
      await clock.settle();
      const socket = await open({ snapshot: ['cells'], control: true });
      const pages = pagesOf(socket);
      for (const { snapshot } of pages) expect(snapshot['cells']?.length).toBeLessThanOrEqual(1000);
      expect(pages.map(({ more }) => more)).toEqual([...pages.slice(1).map(() => true), false]);
      expect(idsOf(socket, 'cells')).toEqual([...controlPlane.state.cells.keys()]);
      expect(told(socket).slice(pages.length)).toEqual(['synced 2510']);
    });

    it('FEED-32 an empty view is a page too', async () => {
      const socket = await open({ snapshot: ['formations', 'cells'] });
      expect(pagesOf(socket).map(({ snapshot }) => snapshot)).toEqual([{ formations: [] }, { cells: [] }]);
    });

    it('FEED-32 what changes while it is sent comes behind it', async () => {
      for (const event of cells(5000)) log.append(event);
      await clock.settle();
      const socket = new TestSocket();
      socket.takesAtOnce = 0;
      await open({ snapshot: ['cells'] }, socket);
      for (let round = 0; round < 60; round++) {
        log.append(cellEvent(STARTED, `later-${round}`));
        socket.take();
        await clock.advance(60);
      }
      const [first] = pagesOf(socket);
      expect(new Set(pagesOf(socket).map(({ seq }) => seq))).toEqual(new Set([5010]));
      expect(first?.seq).toBe(5010);
      expect(idsOf(socket, 'cells')).toHaveLength(5000);
      const events = told(socket).slice(pagesOf(socket).length);
      expect(events).toEqual(range(5011, 5070));
      // Not one page before the client has room for it.
      expect(socket.batches.length).toBeGreaterThan(3);
    });

    it('FEED-33 sessions that open together share it, as it was', async () => {
      for (const event of cells(1500)) log.append(event);
      await clock.settle();
      const first = await open({ snapshot: ['cells'] });
      await append(3);
      const second = await open({ snapshot: ['cells'] });
      // The very same frames: what an adapter made of them is used again.
      expect(second.batches[0]).toBe(first.batches[0]);
      expect(told(second).slice(-3)).toEqual([1511, 1512, 1513]);
      await clock.advance(SNAPSHOT_KEPT_MS);
      const third = await open({ snapshot: ['cells'] });
      expect(pagesOf(third)[0]?.seq).toBe(1513);
    });

    it('FEED-33 but not one that has left the ring, nor one of another stream', async () => {
      log = log.another();
      await start({ ringBytes: 300 });
      await open({ snapshot: ['cells'] });
      await append(20);
      expect(pagesOf(await open({ snapshot: ['cells'] }))[0]?.seq).toBe(30);
      log.replace();
      await append(2);
      const socket = await open({ snapshot: ['cells'] });
      expect(pagesOf(socket)[0]).toMatchObject({ seq: 2, epoch: 'epoch-2' });
    });

    it('FEED-32 whose runtime forgets it in the middle is told to begin anew', async () => {
      for (const event of cells(20_000)) log.append(event);
      await clock.settle();
      const socket = new TestSocket();
      socket.takesAtOnce = 0;
      await open({ snapshot: ['cells'] }, socket);
      expect(socket.memory).toMatchObject({ isHydrating: true });
      socket.connection = controlPlane.feed.resume(
        socket,
        socket.memory as NonNullable<typeof socket.memory>,
      );
      expect(socket.closed).toEqual({ code: 1001, reason: 'the snapshot was interrupted' });
    });

    it('FEED-32 FEED-14 is closed while the log is out of reach, without one', async () => {
      log.disconnect();
      const socket = await open({ snapshot: ['cells'] });
      expect([socket.closed?.code, socket.texts]).toEqual([1008, []]);
    });
  });

  describe('that does what it may not', () => {
    it('FEED-34 is closed when it sends too much', async () => {
      const socket = await open();
      for (let n = 0; n < MAX_INBOUND_PER_SWEEP; n++) socket.connection?.received();
      expect(socket.closed).toBeNull();
      await clock.advance(1000);
      for (let n = 0; n < MAX_INBOUND_PER_SWEEP; n++) socket.connection?.received();
      expect(socket.closed).toBeNull();
      socket.connection?.received();
      expect(socket.closed).toEqual({ code: 1008, reason: 'too many messages' });
      expect(controlPlane.feed.size).toBe(0);
    });

    it('FEED-35 tells when there are as many sessions as there may be', async () => {
      log = log.another();
      await start({ maxSessions: 2 });
      const first = await open();
      expect(controlPlane.feed.isFull).toBe(false);
      await open();
      expect(controlPlane.feed.isFull).toBe(true);
      first.connection?.closed();
      expect(controlPlane.feed.isFull).toBe(false);
    });
  });
});
