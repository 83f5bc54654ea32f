// Sessions that outlive the process which serves them: what their sockets remember, and how another feed goes on with it.
import { beforeEach, describe, expect, it } from 'vitest';

import { MAX_INBOUND_MESSAGE_BYTES } from '../src/limits.ts';
import { EventLogError, type SessionMemory } from '../src/ports.ts';
import { EvictableServer } from './support/evictable-server.ts';
import { TestSocket } from './support/test-socket.ts';

const ALL = 'cellos.events.>';
const range = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, at) => from + at);

describe('what a socket remembers', () => {
  let server: EvictableServer;
  beforeEach(async () => {
    server = await new EvictableServer().start(10);
  });
  const memory = (cursor: number, more: Partial<SessionMemory> = {}) => ({
    filter: ALL,
    cursor,
    epoch: 'epoch-1',
    ...more,
  });

  it('FEED-19 where it begins, from the first moment on', async () => {
    expect(server.open().memory).toEqual(memory(10));
    expect(server.open({ since: 4, filter: 'cellos.*.v1' }).memory).toEqual(
      memory(4, { filter: 'cellos.*.v1' }),
    );
    expect(server.open({ since: 77 }).memory).toEqual(memory(77));
    expect(server.open({ since: 3, epoch: 'epoch-0' }).memory).toEqual(memory(3, { epoch: 'epoch-0' }));
    server.log.purge(6);
    const oldest = server.open({ since: 0 });
    expect(oldest.memory).toEqual(memory(0));
    oldest.takesAtOnce = 0;
    oldest.bufferedBytes = 2_000_000;
    await server.clock.settle();
    // It cannot take anything yet, but where "the oldest" was is known by now.
    expect([oldest.sequences, oldest.memory]).toEqual([[], memory(6)]);
  });

  it('FEED-19 every step: what is sent, and what its filter leaves out', async () => {
    const other = server.open({ since: 2, filter: 'cellos.events.other' });
    const live = server.open();
    await server.clock.settle();
    expect([other.memory?.cursor, live.memory?.cursor]).toEqual([10, 10]);
    await server.append(3);
    expect([other.memory?.cursor, live.memory?.cursor]).toEqual([13, 13]);
    server.log.append('no event');
    await server.append(0);
    expect([other.memory?.cursor, live.memory?.cursor]).toEqual([14, 14]);
    expect([other.sequences, live.sequences]).toEqual([[], [11, 12, 13]]);
  });

  it('FEED-19 never more than was sent, and never less than that', async () => {
    const slow = server.open({ since: 0 });
    const { send } = slow;
    const remembered: unknown[] = [];
    Object.assign(slow, {
      send: (frames: Parameters<typeof send>[0]) => {
        remembered.push(slow.memory?.cursor);
        return send(frames);
      },
    });
    slow.bufferedBytes = 2_000_000;
    await server.append(5);
    expect(slow.memory?.cursor).toBe(0);
    slow.take();
    await server.clock.settle();
    await server.append(2);
    expect(slow.sequences).toEqual(range(1, 17));
    expect(slow.memory?.cursor).toBe(17);
    expect(remembered).toEqual([0, 15]);
  });

  it('FEED-19 keeps waiting for a sequence beyond the tail', async () => {
    const ahead = server.open({ since: 12 });
    await server.append(1);
    expect(ahead.memory?.cursor).toBe(12);
    await server.append(3);
    expect([ahead.memory?.cursor, ahead.sequences]).toEqual([14, [13, 14]]);
  });
});

describe('sessions that are resumed', () => {
  let server: EvictableServer;
  beforeEach(async () => {
    server = await new EvictableServer().start(10);
  });
  const at = (cursor: number, more: Partial<SessionMemory> = {}): SessionMemory => ({
    filter: ALL,
    cursor,
    epoch: 'epoch-1',
    ...more,
  });
  /** A server that has not started yet. */
  const fresh = () => {
    void server.evict();
    const { log } = server;
    return { log, resume: (memory: SessionMemory) => server.resume(memory) };
  };

  it('FEED-20 go on behind their cursor, over what came meanwhile into what comes', async () => {
    const { log, resume } = fresh();
    const sockets = [resume(at(4)), resume(at(10)), resume(at(0)), resume(at(10, { epoch: null }))];
    expect(server.feed.size).toBe(4);
    expect(sockets.map(({ texts }) => texts)).toEqual([[], [], [], []]);
    log.append({ n: 11 });
    await server.clock.settle();
    await server.append(2);
    await server.clock.advance(100);
    expect(sockets.map(({ sequences }) => sequences)).toEqual([
      range(5, 13),
      range(11, 13),
      range(1, 13),
      range(11, 13),
    ]);
    for (const socket of sockets) expect(socket.memory).toEqual(at(13));
  });

  it('FEED-20 also where the log is there already', async () => {
    const socket = server.resume(at(4));
    await server.append(2);
    await server.clock.advance(100);
    expect(socket.sequences).toEqual(range(5, 12));
  });

  it('FEED-20 wait for the end of the replay, however long it takes', async () => {
    const { log, resume } = fresh();
    log.pause();
    const sockets = [resume(at(0)), resume(at(4)), resume(at(12))];
    await server.clock.advance(5000);
    expect(sockets.map(({ texts }) => texts)).toEqual([[], [], []]);
    log.resume();
    await server.append(4);
    await server.clock.advance(100);
    expect(sockets.map(({ sequences }) => sequences)).toEqual([range(1, 14), range(5, 14), [13, 14]]);
  });

  it('FEED-20 wait for a cursor beyond the tail', async () => {
    const socket = fresh().resume(at(12));
    await server.clock.advance(100);
    await server.append(4);
    expect([socket.sequences, socket.closed]).toEqual([[13, 14], null]);
  });

  it('FEED-21 are told of a floor that has risen over their cursor', async () => {
    server.log.purge(6);
    const { resume } = fresh();
    const [below, level, oldest] = [resume(at(5)), resume(at(6)), resume(at(0))] as const;
    await server.clock.advance(100);
    expect(below.closed).toEqual({ code: 4410, reason: 'retention-exhausted' });
    expect(JSON.parse(below.texts[0] as string)).toEqual({
      type: '/problems/ws/retention-exhausted',
      title: 'Cursor older than stream retention',
      oldest_seq: 7,
      latest_seq: 10,
      epoch: 'epoch-1',
    });
    expect([level.sequences, oldest.sequences]).toEqual([range(7, 10), range(7, 10)]);
  });

  it('FEED-12 FEED-21 are told of it also where the feed itself still has what is gone', async () => {
    await server.append(5);
    server.log.purge(13);
    const [opened, resumed] = [server.open({ since: 11 }), server.resume(at(11))];
    await server.clock.advance(100);
    for (const { closed, texts } of [opened, resumed]) {
      expect(closed).toEqual({ code: 4410, reason: 'retention-exhausted' });
      expect(texts).toHaveLength(1);
    }
  });

  it('FEED-21 are told that the stream is another one', async () => {
    const { resume } = fresh();
    const [old, known] = [resume(at(5, { epoch: 'epoch-0' })), resume(at(5))] as const;
    await server.clock.advance(100);
    expect(old.closed).toEqual({ code: 4410, reason: 'epoch-changed' });
    expect(JSON.parse(old.texts[0] as string)).toMatchObject({
      type: '/problems/ws/epoch-changed',
      epoch: 'epoch-1',
    });
    expect([known.closed, known.sequences]).toEqual([null, range(6, 10)]);
  });

  it('FEED-21 stay open while the broker is away, and go on when it is back', async () => {
    server.setAway(true);
    const socket = fresh().resume(at(4));
    await server.clock.advance(20_000);
    // Without a broker the server answers by now.
    expect([server.controlPlane.serving, socket.closed, socket.texts]).toEqual([true, null, []]);
    server.log.append({ n: 11 });
    server.setAway(false);
    await server.clock.advance(100);
    await server.append(1);
    expect([socket.closed, socket.sequences]).toEqual([null, range(5, 12)]);
  });

  it('FEED-21 stay open when the broker leaves again before they were admitted', async () => {
    const { log, resume } = fresh();
    const socket = resume(at(4));
    const { bounds } = log;
    const asked = Promise.withResolvers<never>();
    log.bounds = () => asked.promise;
    await server.clock.settle();
    server.setAway(true);
    asked.reject(new EventLogError('unavailable', 'gone'));
    await server.clock.advance(5000);
    expect([socket.closed, socket.texts]).toEqual([null, []]);
    log.bounds = bounds;
    server.setAway(false);
    await server.clock.advance(100);
    expect(socket.sequences).toEqual(range(5, 10));
  });

  it('FEED-21 are tried again when the log does not answer', async () => {
    const { log, resume } = fresh();
    const socket = resume(at(4));
    const { bounds } = log;
    let asked = 0;
    log.bounds = async () => {
      asked++;
      throw new EventLogError('unavailable', 'timed out');
    };
    await server.clock.advance(1000);
    expect(asked).toBeGreaterThan(5);
    expect([socket.closed, socket.texts]).toEqual([null, []]);
    log.bounds = bounds;
    await server.clock.advance(100);
    await server.append(1);
    expect(socket.sequences).toEqual(range(5, 11));
  });

  it('FEED-21 one that leaves before it was admitted is forgotten', async () => {
    const socket = fresh().resume(at(4));
    socket.connection?.closed();
    await server.append(1);
    await server.clock.advance(100);
    expect([socket.texts, server.feed.size]).toEqual([[], 0]);
  });

  it('FEED-22 detach says nothing to anybody, then or later', async () => {
    const { controlPlane } = server;
    const behind = new TestSocket();
    behind.bufferedBytes = 2_000_000;
    const sockets = [server.open(), server.open({ since: 0 }), server.open({ since: 99 }), behind];
    server.open({ since: 0 }, behind);
    server.resume(at(3), sockets[4]);
    server.log.append({ n: 11 });
    // Frames wait to be handed out, and a session to be admitted.
    const [sent, memories] = [sockets.map(({ texts }) => [...texts]), sockets.map(({ memory }) => memory)];
    controlPlane.feed.detach();
    server.log.append({ n: 12 });
    behind.take();
    for (const { connection } of sockets) connection?.received(MAX_INBOUND_MESSAGE_BYTES + 1);
    await server.clock.advance(120_000);
    server.log.replace();
    await server.clock.advance(1000);
    await controlPlane.stop();
    expect(sockets.map(({ closed }) => closed)).toEqual(sockets.map(() => null));
    expect(sockets.map(({ texts }) => texts)).toEqual(sent);
    expect(sockets.map(({ memory }) => memory)).toEqual(memories);
    expect(sockets.map(({ pings }) => pings)).toEqual(sockets.map(() => 0));
    expect(controlPlane.feed.size).toBe(0);
  });

  it('FEED-22 nor does it when it comes at any moment of an admission', async () => {
    for (let turns = 0; turns < 12; turns++) {
      const opened = server.open({ since: 3 });
      const resumed = server.resume(at(3));
      for (let turn = 0; turn < turns; turn++) await Promise.resolve();
      const sent = [opened.texts.length, resumed.texts.length];
      server.feed.detach();
      await server.append(1);
      await server.clock.advance(100);
      expect([opened.texts.length, resumed.texts.length]).toEqual(sent);
      expect(server.feed.size).toBe(0);
    }
  });

  it('FEED-8 a message above the limit that the runtime let through closes, one at it does not', async () => {
    const [fits, above, resumed] = [server.open(), server.open(), fresh().resume(at(4))] as const;
    fits.connection?.received(MAX_INBOUND_MESSAGE_BYTES);
    fits.connection?.received();
    above.connection?.received(MAX_INBOUND_MESSAGE_BYTES + 1);
    resumed.connection?.received(MAX_INBOUND_MESSAGE_BYTES + 1);
    await server.append(1);
    expect(above.closed).toEqual({ code: 1009, reason: 'message too big' });
    expect(resumed.closed?.code).toBe(1009);
    expect(fits.closed).toBeNull();
    await server.clock.advance(100);
    expect(fits.sequences).toEqual([11]);
  });
});
