// The EventLog over nats.ws and over TCP with a real broker.
import process from 'node:process';
import { connect as connectTcp } from 'nats';
import { connect as connectWebSocket } from 'nats.ws';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { NatsEventLog, type NatsEventLogOptions } from '../src/nats-event-log.ts';
import { Broker, findFreePort, STREAM } from './support/nats-server.ts';
import { silentLogger, systemClock } from './support/system.ts';
import { eventLogSuite } from './suites/event-log.ts';
import { type EventLogHarness, Recorder } from './suites/event-log-support.ts';
import { quiet, until } from './support/wait.ts';

type Transport = 'websocket' | 'tcp';
type Connect = NatsEventLogOptions['connect'];

function createLog(
  broker: Broker,
  transport: Transport,
  connect = (transport === 'tcp' ? connectTcp : connectWebSocket) as Connect,
): NatsEventLog {
  const servers = [transport === 'tcp' ? broker.url : broker.websocketUrl];
  return new NatsEventLog({
    connect,
    connection: { servers },
    replicas: 1,
    clock: systemClock,
    logger: silentLogger,
  });
}

async function startHarness(transport: Transport): Promise<EventLogHarness> {
  const broker = await Broker.start();
  const logs = [createLog(broker, transport)];
  const [log] = logs as [NatsEventLog];
  const streams = async () => (await broker.manager()).streams;
  return {
    log,
    another() {
      const other = createLog(broker, transport);
      logs.push(other);
      return other;
    },
    append: (payload, subject) => broker.publish(payload, subject),
    appendMany: (count) => broker.publishAll(Array.from({ length: count }, (_, n) => ({ n }))),
    disconnect: () => broker.kill(),
    reconnect: () => broker.restart(),
    replace: async () => void (await (await streams()).delete(STREAM)),
    remove: async (seq) => void (await (await streams()).deleteMessage(STREAM, seq)),
    purge: async (through) => void (await (await streams()).purge(STREAM, { seq: through + 1 })),
    // Twice the interval at which a tail looks whether it missed anything, and a bit.
    patienceMs: 2500,
    async dispose() {
      await Promise.all(logs.map((each) => each.close()));
      await broker.stop();
    },
  };
}

eventLogSuite('NATS over its websocket listener', () => startHarness('websocket'));
eventLogSuite('NATS over TCP', () => startHarness('tcp'));

describe('the stream and its consumers', () => {
  let broker: Broker;
  beforeAll(async () => {
    broker = await Broker.start();
  });
  afterAll(() => broker.stop());

  it('LOG-1 LOG-3 LOG-4 makes the stream and one consumer as the contract has them, and leaves none', async () => {
    const log = createLog(broker, 'websocket');
    const opened = Promise.withResolvers<void>();
    log.follow(0, {
      onOpened: () => opened.resolve(),
      onEntry: () => {},
      onCaughtUp: () => {},
      onReset: () => {},
      onLost: () => {},
    });
    await opened.promise;
    const { config } = await broker.info();
    expect(config).toMatchObject({
      subjects: ['cellos.events.>'],
      retention: 'limits',
      storage: 'file',
      max_age: 90 * 24 * 3600 * 1e9,
      duplicate_window: 120 * 1e9,
      num_replicas: 1,
    });
    await broker.publishAll(Array.from({ length: 50 }, (_, n) => ({ n })));
    const signal = AbortSignal.timeout(5000);
    await Promise.all(Array.from({ length: 20 }, () => log.read({ after: 0, limit: 10, signal })));
    const consumers = await broker.consumers();
    expect(consumers).toHaveLength(1);
    expect(consumers[0]?.config).toMatchObject({ ack_policy: 'none', inactive_threshold: 300 * 1e9 });
    expect(consumers[0]?.config.durable_name).toBeUndefined();
    await log.close();
    expect(await broker.consumers()).toHaveLength(0);
  });

  it('LOG-4 a read that is given up while its consumer is being made leaves none, and no error unheard', async () => {
    const asked: string[] = [];
    let onAsked = (_subject: string): void => {};
    const log = createLog(broker, 'websocket', async (options) => {
      const nc = await connectWebSocket(options);
      const publish = nc.publish.bind(nc);
      nc.publish = (subject, ...rest) => {
        publish(subject, ...rest);
        onAsked(subject);
      };
      return nc;
    });
    const recorder = new Recorder();
    log.follow('tail', recorder);
    await until(() => recorder.openings === 1, { what: 'the opening' });
    await recorder.whenCaughtUp(await broker.publish({ n: 1 }));
    const givingUp = new AbortController();
    onAsked = (subject) => {
      asked.push(subject.split('.').slice(2, 4).join('.'));
      if (asked.at(-1) === 'CONSUMER.CREATE') givingUp.abort();
    };
    const unheard: unknown[] = [];
    const onUnheard = (reason: unknown) => unheard.push(reason);
    process.on('unhandledRejection', onUnheard);
    const reading = log.read({ after: 0, limit: 10, signal: givingUp.signal });
    await expect(reading).rejects.toMatchObject({ code: 'unavailable' });
    await until(() => asked.includes('CONSUMER.DELETE'), { what: 'the removal' });
    process.off('unhandledRejection', onUnheard);
    expect(unheard).toEqual([]);
    await until(async () => (await broker.consumers()).length === 1, { what: 'one consumer' });
    await log.close();
  });
});

describe.each<Transport>(['websocket', 'tcp'])('what a renewal leaves behind over %s', (transport) => {
  let broker: Broker;
  let monitor: number;
  beforeAll(async () => {
    monitor = await findFreePort();
    broker = await Broker.start({ extraConfig: `http: "127.0.0.1:${monitor}"` });
  });
  afterAll(() => broker.stop());

  /** Connections of servers. */
  const connections = async () => {
    const answer = await fetch(`http://127.0.0.1:${monitor}/connz`);
    const { connections: all } = (await answer.json()) as { connections: { name?: string }[] };
    return all.filter(({ name }) => name === 'cellos-server').length;
  };
  const followed = async () => {
    const log = createLog(broker, transport);
    const recorder = new Recorder();
    log.follow(0, recorder);
    await recorder.whenCaughtUp(0);
    return { log, recorder };
  };

  it('LOG-4 LOG-19 leaves one consumer, and one connection when the old ones had their time', async () => {
    const { log, recorder } = await followed();
    for (let round = 1; round <= 4; round++) {
      await log.renew();
      await until(() => recorder.openings > round, { what: 'the renewal' });
    }
    expect(await broker.consumers()).toHaveLength(1);
    // Requests may be under way on those that were left.
    expect(await connections()).toBeGreaterThan(1);
    await until(async () => (await connections()) === 1, { what: 'one connection', timeoutMs: 8000 });
    expect(await broker.consumers()).toHaveLength(1);
    await recorder.whenCaughtUp(await broker.publish({ n: 1 }));
    expect(recorder.told).not.toContain('lost');
    await log.close();
  });

  it('LOG-20 leaves nothing when the log is closed at any moment of it', async () => {
    for (let delay = 0; delay < 24; delay += 2) {
      const { log } = await followed();
      const renewal = log.renew().catch(() => {});
      await quiet(delay / 2);
      await log.close();
      await renewal;
    }
    await until(async () => (await connections()) === 0, { what: 'no connection', timeoutMs: 3000 });
    expect(await broker.consumers()).toHaveLength(0);
  });

  it('LOG-19 LOG-20 close leaves none of the connections that were renewed', async () => {
    const { log, recorder } = await followed();
    await log.renew();
    await until(() => recorder.openings === 2, { what: 'the renewal' });
    await log.close();
    await until(async () => (await connections()) === 0, { what: 'no connection', timeoutMs: 2500 });
    expect(await broker.consumers()).toHaveLength(0);
  });
});
