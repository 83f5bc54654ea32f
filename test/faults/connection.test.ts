// The wire to the broker is cut or goes silent, and the tail's consumer is taken away.
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { READ_TIMEOUT_MS } from '../../src/limits.ts';
import { cellStarted, flatDocument, formationEvent, unique } from '../support/events.ts';
import { expectProblem } from '../support/http-client.ts';
import { Broker, STREAM, Wire } from '../support/nats-server.ts';
import { Rig, ServerProcess, nodeTarget } from '../support/server-process.ts';
import { quiet, timed, until } from '../support/wait.ts';

const BACK_MS = 2000;
/** A connection that is silent but not closed has to be given up first; the contract leaves open how soon. */
const SILENCE_NOTICED_MS = 10_000;

describe.each(['ws', 'nats'] as const)('over %s', (scheme) => {
  let broker: Broker;
  let wire: Wire;
  let server: ServerProcess;
  let rig: Rig;

  beforeAll(async () => {
    broker = await Broker.start();
    wire = await Wire.to(scheme === 'ws' ? broker.websocketPort : broker.port);
    server = await ServerProcess.start(nodeTarget, { CELLOS_NATS_URL: `${scheme}://127.0.0.1:${wire.port}` });
    rig = new Rig(broker, server);
  });
  afterEach((context) => {
    if (context.task.result?.state === 'fail') console.error(server.log.slice(-4000));
  });
  afterAll(async () => {
    await server.stop();
    await wire.stop();
    await broker.stop();
  });

  /** Runs a fault with a feed connected and a load going on; every frame must come once and in order. */
  async function underLoad(fault: () => Promise<void>, backMs: number): Promise<void> {
    const before = await broker.lastSequence();
    const feed = await server.feed({ query: `since=${before}` });
    const stopping = new AbortController();
    const load = (async () => {
      while (!stopping.signal.aborted) {
        await broker.publish(cellStarted(unique('cell')));
        await delay(1);
      }
    })();
    await delay(200);
    await fault();
    const { ms } = await timed(
      broker.publish('"back"').then((seq) => feed.whenSequence(seq, SILENCE_NOTICED_MS + backMs)),
    );
    console.log(`${scheme}: the tail went on within ${Math.round(ms)} ms`);
    stopping.abort();
    await load;
    const last = await broker.lastSequence();
    await feed.whenSequence(last);
    await rig.whenApplied(last);
    expect(ms).toBeLessThan(backMs);
    expect(feed.sequences).toEqual(Array.from({ length: last - before }, (_, index) => before + 1 + index));
    expect(feed.closing).toBeNull();
    await feed.close();
  }

  test('RUN-5 LOG-10 cut, again and again', async () => {
    await underLoad(async () => {
      for (let round = 0; round < 5; round += 1) {
        wire.cut();
        await delay(100);
      }
    }, BACK_MS);
  });

  test('RUN-5 LOG-10 cut, and no way back for a while', async () => {
    await underLoad(async () => {
      wire.refuse(true);
      await delay(1500);
      wire.refuse(false);
    }, BACK_MS);
  });

  test('RUN-5 cut while the consumer of a page of events is being made', async () => {
    await broker.publish('"an event"');
    wire.cutBefore('consumer_create_response');
    expectProblem(await server.http.get('/v1/events'), 'service-unavailable');
    // The page has an end of its own, which comes when nobody waits for it any more.
    await quiet(READ_TIMEOUT_MS);
    expect(server.log).not.toContain('TimeoutError');
    expect((await server.http.get('/v1/events')).status).toBe(200);
  });

  test('RUN-5 silent for a while', async () => {
    await underLoad(async () => {
      wire.stall();
      await delay(1500);
      wire.release();
    }, BACK_MS);
  });

  test('RUN-5 silent for ever, while new connections work', async () => {
    await underLoad(async () => {
      wire.stall({ onlyOld: true });
    }, SILENCE_NOTICED_MS);
    wire.release();
  });

  test('OUT-7 RUN-6 a write whose acknowledgement is held back is a 503, and true if the log has it', async () => {
    const names = Array.from({ length: 5 }, () => unique('held'));
    wire.stall();
    const replies = await Promise.all(
      names.map((name) => timed(server.http.post('/v1/formations', flatDocument(name)))),
    );
    for (const { value, ms } of replies) {
      expectProblem(value, 'service-unavailable');
      expect(value.headers['retry-after']).toBeDefined();
      expect(ms).toBeLessThan(5000);
    }
    wire.release();
    await rig.publish(formationEvent('created', { formationId: crypto.randomUUID() }));
    await until(
      async () => (await server.http.post('/v1/formations', flatDocument(unique()))).status === 201,
      {
        what: 'a write to succeed',
      },
    );
    const stored = (await broker.messages()).map((message) => message.text);
    const { formations } = await rig.snapshot();
    for (const name of names) {
      const inLog = stored.filter((text) => text.includes(name)).length;
      expect(inLog).toBeLessThanOrEqual(1);
      expect(formations.filter((formation) => formation['name'] === name)).toHaveLength(inLog);
    }
  });

  test('LOG-10 the consumer is deleted under the server, again and again', async () => {
    await underLoad(async () => {
      const manager = await broker.manager();
      for (let round = 0; round < 4; round += 1) {
        for (const consumer of await broker.consumers())
          await manager.consumers.delete(STREAM, consumer.name);
        await delay(150);
      }
    }, BACK_MS);
  });

  test('LOG-10 the consumer is deleted while nothing happens', async () => {
    const manager = await broker.manager();
    const feed = await server.feed();
    for (const consumer of await broker.consumers()) await manager.consumers.delete(STREAM, consumer.name);
    const seq = await broker.publish('"after"');
    await feed.whenSequence(seq, BACK_MS);
    expect(feed.sequences).toEqual([seq]);
    await feed.close();
  });
});
