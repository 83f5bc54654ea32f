// What becomes of the server when its stream is deleted, recreated, put back, purged or thinned out.
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { cellStarted, flatDocument, formationEvent, unique } from '../support/events.ts';
import type { FeedClient } from '../support/feed-client.ts';
import { expectProblem } from '../support/http-client.ts';
import { Broker, STREAM, Wire } from '../support/nats-server.ts';
import { Rig, ServerProcess, nodeTarget } from '../support/server-process.ts';
import { workerdTarget } from '../support/workerd-server.ts';
import { until } from '../support/wait.ts';

const NOTICED_MS = 5000;
/** In the stream that every test begins with. */
const OLD_EVENTS = 11;

describe.each([nodeTarget, workerdTarget])('on $name', (target) => {
  let broker: Broker;
  let wire: Wire;
  let server: ServerProcess;
  let rig: Rig;
  beforeEach(async () => {
    broker = await Broker.start();
    wire = await Wire.to(broker.websocketPort);
    server = await ServerProcess.start(target, { CELLOS_NATS_URL: `ws://127.0.0.1:${wire.port}` });
    rig = new Rig(broker, server);
  });
  afterEach(async (context) => {
    if (context.task.result?.state === 'fail') console.error(server.log.slice(-4000));
    await server.stop();
    await wire.stop();
    await broker.stop();
  });

  const createStream = async () => {
    const { streams } = await broker.manager();
    // The server may be faster, and the broker may still be removing the old one's files.
    const create = () =>
      streams.add({ name: STREAM, subjects: ['cellos.events.>'] }).catch(() => streams.info(STREAM));
    await until(create, { what: 'the stream to be made' });
  };
  const deleteStream = async () => {
    await (await broker.manager()).streams.delete(STREAM);
  };

  /** One projection with something in it, two sessions on it, and the epoch that all this belongs to. */
  async function begin(): Promise<{ feeds: FeedClient[]; epoch: string }> {
    await rig.publish(
      ...Array.from({ length: OLD_EVENTS - 1 }, () => cellStarted(unique('old'))),
      formationEvent('running', { formationId: crypto.randomUUID(), formationName: 'old' }),
    );
    const feeds = [await server.feed(), await server.feed({ query: 'since=0' })];
    await feeds[1]?.whenSequence(OLD_EVENTS);
    return { feeds, epoch: (await rig.snapshot()).epoch ?? '' };
  }

  async function expectRehydrate(feeds: readonly FeedClient[], oldEpoch: string): Promise<void> {
    for (const feed of feeds) {
      expect(await feed.whenClosed(NOTICED_MS)).toEqual({ code: 4410, reason: 'epoch-changed' });
      const frame = JSON.parse(feed.frames.at(-1)?.text ?? '') as Record<string, unknown>;
      expect(frame).toMatchObject({ type: '/problems/ws/epoch-changed', title: 'Stream replaced' });
      expect(frame['oldest_seq']).toBeTypeOf('number');
      expect(frame['latest_seq']).toBeTypeOf('number');
      expect(frame['epoch']).not.toBe(oldEpoch);
    }
  }

  /** The projection is that of the stream that is there now; what was before is gone. */
  async function expectRebuilt(cells: readonly string[], oldEpoch: string): Promise<void> {
    await until(
      async () => {
        const reply = await server.http.get('/v1/cells');
        if (reply.status === 503) expect(reply.headers['retry-after']).toBeDefined();
        const ids = (JSON.parse(reply.text) as { id: string }[]).map((cell) => cell.id);
        return ids.join() === cells.toSorted().join();
      },
      { what: 'the projection of the new stream', timeoutMs: NOTICED_MS },
    );
    const snapshot = await rig.snapshot();
    expect(snapshot.formations).toEqual([]);
    expect(snapshot.cursor).toBe(await broker.lastSequence());
    expect(snapshot.epoch).not.toBe(oldEpoch);
    const feed = await server.feed({
      query: `since=${snapshot.cursor}&epoch=${encodeURIComponent(snapshot.epoch ?? '')}`,
    });
    expect((await server.http.post('/v1/formations', flatDocument('old'))).status).toBe(201);
    await feed.whenSequence(snapshot.cursor + 1);
    expect(feed.sequences).toEqual([snapshot.cursor + 1]);
  }

  describe('LOG-11 FEED-13 another stream', () => {
    test('LOG-11 deleted: created again, empty', async () => {
      const { feeds, epoch } = await begin();
      await deleteStream();
      await expectRehydrate(feeds, epoch);
      await expectRebuilt([], epoch);
      const { config } = await broker.info();
      expect(config.subjects).toEqual(['cellos.events.>']);
    });

    test('LOG-11 deleted and recreated at once, with other events', async () => {
      const { feeds, epoch } = await begin();
      await deleteStream();
      await createStream();
      const cells = Array.from({ length: 3 }, () => unique('new'));
      await broker.publishAll(cells.map((cell) => cellStarted(cell)));
      await expectRehydrate(feeds, epoch);
      await expectRebuilt(cells, epoch);
    });

    test('LOG-11 HTTP-64 deleted and recreated at once, with more events than before', async () => {
      const { feeds, epoch } = await begin();
      const { link } = (await server.http.get('/v1/cells?limit=5')).headers;
      const nextPage = String(link).slice(1, String(link).indexOf('>'));
      await deleteStream();
      await createStream();
      const cells = Array.from({ length: 30 }, () => unique('new'));
      await broker.publishAll(cells.map((cell) => cellStarted(cell)));
      await expectRehydrate(feeds, epoch);
      await expectRebuilt(cells, epoch);
      // Nothing of the new stream went to sessions of the old one.
      expect(feeds.map((feed) => feed.sequences.length)).toEqual([0, OLD_EVENTS]);
      // Nor do pages of the new one follow on those of the old.
      expectProblem(await server.http.get(nextPage), 'ws/epoch-changed', { names: ['continue'] });
    });

    test('LOG-11 recreated while the broker was out of reach', async () => {
      const { feeds, epoch } = await begin();
      wire.refuse(true);
      await deleteStream();
      await createStream();
      const cells = Array.from({ length: 20 }, () => unique('new'));
      await broker.publishAll(cells.map((cell) => cellStarted(cell)));
      wire.refuse(false);
      await expectRehydrate(feeds, epoch);
      await expectRebuilt(cells, epoch);
    });

    test('RUN-8 until a long new stream is read, everything answers 503; nothing is half of it', async () => {
      const { epoch } = await begin();
      wire.refuse(true);
      await deleteStream();
      await createStream();
      const count = 20_000;
      await broker.publishAll(Array.from({ length: count }, (_, index) => cellStarted(`new-${index}`)));
      wire.refuse(false);
      await until(
        async () => {
          const reply = await server.http.get('/v1/formations');
          if (reply.status === 200) {
            const snapshot = JSON.parse(reply.text) as { cursor: number; epoch: string };
            expect([OLD_EVENTS, count]).toContain(snapshot.cursor);
            expect(snapshot.epoch === epoch).toBe(snapshot.cursor === OLD_EVENTS);
            return snapshot.cursor === count;
          }
          expectProblem(reply, 'service-unavailable');
          expect(reply.headers['retry-after']).toMatch(/^[1-9]\d*$/);
          return false;
        },
        { what: 'the projection of the new stream', timeoutMs: 2 * NOTICED_MS, pollMs: 2 },
      );
      expect(await server.http.read('/v1/cells')).toHaveLength(count);
    });

    test('LOG-11 lost with the broker’s disk', async () => {
      const { feeds, epoch } = await begin();
      await broker.kill();
      await broker.restart({ wipe: true });
      await expectRehydrate(feeds, epoch);
      await expectRebuilt([], epoch);
    });
  });

  describe('LOG-11 a stream put back to an older state', () => {
    const putBack = async () => {
      const cells = Array.from({ length: 5 }, () => unique('kept'));
      await rig.publish(...cells.map((cell) => cellStarted(cell)));
      await broker.kill();
      await broker.backUp();
      await broker.restart();
      await rig.publish(...Array.from({ length: 10 }, () => cellStarted(unique('undone'))));
      const feed = await server.feed();
      wire.refuse(true);
      await broker.kill();
      await broker.restore();
      await broker.restart();
      return { cells, feed };
    };
    const expectCells = (cells: readonly string[]) =>
      until(
        async () => {
          const ids = (await server.http.read<{ id: string }[]>('/v1/cells')).map((cell) => cell.id);
          return ids.join() === cells.toSorted().join();
        },
        { what: 'the projection of the restored stream', timeoutMs: NOTICED_MS },
      );

    test('LOG-11 its last sequence is below the cursor', async () => {
      const { cells, feed } = await putBack();
      wire.refuse(false);
      expect(await feed.whenClosed(NOTICED_MS)).toEqual({ code: 4410, reason: 'epoch-changed' });
      await expectCells(cells);
      expect((await rig.snapshot()).cursor).toBe(5);
    });

    test('LOG-11 it has grown beyond the cursor before the server saw it', async () => {
      const { cells, feed } = await putBack();
      const more = Array.from({ length: 20 }, () => unique('more'));
      await broker.publishAll(more.map((cell) => cellStarted(cell)));
      wire.refuse(false);
      expect(await feed.whenClosed(NOTICED_MS)).toEqual({ code: 4410, reason: 'epoch-changed' });
      expect(feed.sequences).toEqual([]);
      await expectCells([...cells, ...more]);
    });
  });

  describe('LOG-12 messages that are gone', () => {
    const purge = async () => (await broker.manager()).streams.purge(STREAM);
    const remove = async (seq: number) => (await broker.manager()).streams.deleteMessage(STREAM, seq);

    test('LOG-12 a purge changes neither projection nor epoch; the feed goes on', async () => {
      const { feeds, epoch } = await begin();
      const before = await rig.snapshot();
      await purge();
      const last = await rig.publish('"after"');
      await feeds[0]?.whenSequence(last);
      expect(await rig.snapshot()).toEqual({ ...before, cursor: last });
      expect(feeds.map((feed) => feed.closing)).toEqual([null, null]);
      expect((await rig.snapshot()).epoch).toBe(epoch);
      expect((await server.http.post('/v1/formations', flatDocument(unique()))).status).toBe(201);
    });

    test('LOG-12 LOG-5 FEED-36 the cursor passes what was purged before it was read', async () => {
      const { feeds, epoch } = await begin();
      wire.refuse(true);
      const last = await broker.publishAll(Array.from({ length: 5 }, () => cellStarted(unique('unseen'))));
      await purge();
      wire.refuse(false);
      await rig.whenApplied(last);
      expect(await rig.snapshot()).toMatchObject({ cursor: last, epoch });
      // Nobody can tell a session what it has missed: it is told that it has.
      expect(await feeds[0]?.whenClosed()).toEqual({ code: 4410, reason: 'retention-exhausted' });
      expect(feeds[0]?.sequences).toEqual([]);
      const anew = await rig.server.feed({ query: `since=${last}` });
      const next = await rig.publish('"after"');
      await anew.whenSequence(next);
      expect(anew.sequences).toEqual([next]);
    });

    test('LOG-12 LOG-5 the cursor passes messages deleted from the tail', async () => {
      const { epoch } = await begin();
      wire.refuse(true);
      const last = await broker.publishAll(['"1"', '"2"', '"3"']);
      await remove(last);
      await remove(last - 1);
      wire.refuse(false);
      await rig.whenApplied(last);
      expect(await rig.snapshot()).toMatchObject({ cursor: last, epoch });
    });

    test('LOG-5 a server that starts on a thinned-out stream stands at its last sequence', async () => {
      await begin();
      const last = await rig.publish('"1"', '"2"', '"3"', '"4"');
      for (const seq of [2, 3, 7, last - 2, last]) await remove(seq);
      const fresh = await ServerProcess.start(target, { CELLOS_NATS_URL: broker.websocketUrl });
      expect((await new Rig(broker, fresh).snapshot()).cursor).toBe(last);
      expect(await fresh.http.read('/v1/events?since=0')).toMatchObject({ cursor: last });
      const feed = await fresh.feed({ query: 'since=0' });
      const next = await rig.publish('"next"');
      await feed.whenSequence(next);
      const kept = Array.from({ length: next }, (_, index) => index + 1).filter(
        (seq) => ![2, 3, 7, last - 2, last].includes(seq),
      );
      expect(feed.sequences).toEqual(kept);
      await purge();
      const emptied = await ServerProcess.start(target, { CELLOS_NATS_URL: broker.websocketUrl });
      expect(await new Rig(broker, emptied).snapshot()).toMatchObject({ formations: [], cursor: next });
      await fresh.stop();
      await emptied.stop();
    });
  });
});
